import { expect, test } from 'vitest';
import { KMS_CONNECTION, SECRET } from '../kube/kinds.ts';
import { CutOff, Cutter } from '../runtime/cutter.testkit.ts';
import { type ConnectionWorld, KEY, NEVER, setUpConnections } from './kms.testkit.ts';

interface Scenario {
  readonly before?: (world: ConnectionWorld) => void;
  readonly change: (world: ConnectionWorld) => void;
}

const declared = (world: ConnectionWorld): void => {
  world.declare();
};
const force = { metadata: { annotations: { 'sealgate.io/force-delete': 'true' } } };

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'the first look': { change: declared },
  'a renewed certificate': { before: declared, change: (world) => world.giveSecret(1) },
  'a lost Secret': {
    before: declared,
    change: (world) => world.api.remove(SECRET, { namespace: 'team-a', name: 'client' }),
  },
  'a change of the endpoints': {
    before: declared,
    change: (world) =>
      world.declare({ kmip: { endpoints: [{ host: 'ks2' }], tls: { secretRef: { name: 'client' } } } }),
  },
  'a deletion': { before: declared, change: (world) => world.api.remove(KMS_CONNECTION, KEY) },
  'a deletion that must wait': {
    before: (world) => {
      declared(world);
      world.dataPlane.addBucket('invoices');
    },
    change: (world) => world.api.remove(KMS_CONNECTION, KEY),
  },
  'a deletion by force': {
    before: (world) => {
      declared(world);
      world.dataPlane.addBucket('invoices');
    },
    change: (world) => {
      world.api.edit(KMS_CONNECTION, KEY, force);
      world.api.remove(KMS_CONNECTION, KEY);
    },
  },
};

async function settle(world: ConnectionWorld): Promise<void> {
  const reconciler = world.fresh();
  for (let look = 0; look < 4; look += 1) {
    await reconciler.reconcile(KEY, NEVER);
    await world.settle();
  }
}

async function prepared({ before }: Scenario): Promise<{ world: ConnectionWorld; cutter: Cutter }> {
  const world = setUpConnections();
  const cutter = new Cutter();
  world.api.around = cutter.around;
  world.dataPlane.around = cutter.around;
  before?.(world);
  await settle(world);
  return { world, cutter };
}

function endState(world: ConnectionWorld): object {
  const gone = world.api.peek(KMS_CONNECTION, KEY) === null;
  return {
    gone,
    conditions: gone
      ? []
      : world
          .status()
          .conditions.map(({ type, reason }) => `${type} ${reason}`)
          .toSorted(),
    files: world.rendered(),
    inForce: [...world.dataPlane.connections],
  };
}

test.each(Object.entries(SCENARIOS))(
  '%s comes to the same end when it is cut off before or after any message',
  async (name, scenario) => {
    const { world: whole, cutter: counter } = await prepared(scenario);
    scenario.change(whole);
    counter.disarm();
    await settle(whole);
    const steps = counter.steps;
    const expected = endState(whole);
    let cuts = 0;
    for (let step = 1; step <= steps; step += 1) {
      for (const side of ['before', 'after'] as const) {
        const { world, cutter } = await prepared(scenario);
        scenario.change(world);
        cutter.arm(step, side);
        await expect(settle(world)).rejects.toThrow(CutOff);
        cutter.disarm();
        await settle(world);
        expect(endState(world), `${side} step ${step}`).toEqual(expected);
        cuts += 1;
      }
    }
    process.stdout.write(`${name}: cut ${cuts} times in ${steps} messages\n`);
    expect(cuts).toBe(2 * steps);
  },
);
