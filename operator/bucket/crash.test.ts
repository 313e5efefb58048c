import { describe, expect, test } from 'vitest';
import { ENCRYPTED_BUCKET, SECRET } from '../kube/kinds.ts';
import { CutOff, Cutter } from '../runtime/cutter.testkit.ts';
import { ACCESS, type BucketWorld, KEY, NEVER, OWNER, SECRET_KEY, setUpBuckets } from './bucket.testkit.ts';

interface Scenario {
  readonly before?: (world: BucketWorld) => void;
  readonly change: (world: BucketWorld) => void;
  /** Whether every Secret must name a working key at every moment. */
  readonly alwaysAlive?: boolean;
}

const declareAll = (world: BucketWorld): void => {
  world.declare({ access: ACCESS, keyRotation: { interval: '2160h' } });
};
const fullOf = (world: BucketWorld): void =>
  world.dataPlane.change('invoices', { usage: { objects: 3, bytes: 3 } });

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'the first look': { change: declareAll, alwaysAlive: true },
  'a rotation of the key': {
    before: declareAll,
    change: (world) => world.annotate({ 'sealgate.io/rotate-key': '1' }),
    alwaysAlive: true,
  },
  'a rotation of access': {
    before: declareAll,
    change: (world) => world.annotate({ 'rotate-access.sealgate.io/app': '1' }),
    alwaysAlive: true,
  },
  'a second rotation of access': {
    before: (world) => {
      declareAll(world);
      world.annotate({ 'rotate-access.sealgate.io/app': '1' });
    },
    change: (world) => world.annotate({ 'rotate-access.sealgate.io/app': '2' }),
    alwaysAlive: true,
  },
  'a lost Secret': {
    before: declareAll,
    change: (world) => world.api.remove(SECRET, SECRET_KEY),
    alwaysAlive: true,
  },
  'a robbed Secret': {
    before: declareAll,
    change: (world) => world.api.edit(SECRET, SECRET_KEY, { data: { AWS_ACCESS_KEY_ID: null } }),
  },
  'an entry that goes and one that comes': {
    before: declareAll,
    change: (world) =>
      world.declare({ access: [{ name: 'reader', permissions: 'ReadOnly', secretName: 'reader' }] }),
  },
  'an import': {
    change: (world) => {
      world.api.edit(SECRET, SECRET_KEY, {
        metadata: { labels: { 'sealgate.io/import': 'true' } },
        data: {
          AWS_ACCESS_KEY_ID: Buffer.from('THEIRTHEIRTHEIRTHEIR').toString('base64'),
          AWS_SECRET_ACCESS_KEY: Buffer.from('s'.repeat(40)).toString('base64'),
        },
      });
      declareAll(world);
    },
  },
  'an adoption': {
    before: (world) => world.dataPlane.addBucket('invoices', { owner: 'team-b/other' }),
    change: (world) => world.declare({ adopt: true, access: ACCESS }),
    alwaysAlive: true,
  },
  ...Object.fromEntries(
    (['Retain', 'DeleteIfEmpty', 'Purge'] as const).map((deletionPolicy): [string, Scenario] => [
      `a deletion with ${deletionPolicy}`,
      {
        before: (world) => world.declare({ deletionPolicy, access: ACCESS }),
        change: (world) => {
          if (deletionPolicy === 'Purge') fullOf(world);
          world.annotate({ 'sealgate.io/confirm-destroy': 'invoices' });
          world.api.remove(ENCRYPTED_BUCKET, KEY);
        },
      },
    ]),
  ),
  'a deletion by force': {
    before: declareAll,
    change: (world) => {
      world.annotate({ 'sealgate.io/force-delete': 'true' });
      world.api.remove(ENCRYPTED_BUCKET, KEY);
    },
  },
};

/** Two looks: some things take a second one by design. */
async function settle(world: BucketWorld): Promise<void> {
  for (let look = 0; look < 3; look += 1) await world.fresh().reconcile(KEY, NEVER);
}

async function prepared({ before }: Scenario): Promise<{ world: BucketWorld; cutter: Cutter }> {
  const world = setUpBuckets();
  const cutter = new Cutter();
  world.api.around = cutter.around;
  world.dataPlane.around = cutter.around;
  before?.(world);
  await settle(world);
  return { world, cutter };
}

/** Secrets that name a key which the data plane does not have with that secret. */
function deadSecrets(world: BucketWorld): string[] {
  return world.api.all(SECRET).flatMap(({ metadata }) => {
    const content = world.secret({ namespace: metadata.namespace ?? '', name: metadata.name });
    const key = world.dataPlane.accessKeyStore.get(content?.['AWS_ACCESS_KEY_ID'] ?? '');
    return key?.secret === content?.['AWS_SECRET_ACCESS_KEY'] ? [] : [metadata.name];
  });
}

/** What there is, without the names of keys, which differ from run to run. */
function endState(world: BucketWorld): object {
  const gone = world.api.peek(ENCRYPTED_BUCKET, KEY) === null;
  const secrets = world.api.all(SECRET).map(({ metadata, ...rest }) => ({
    name: metadata.name,
    labels: metadata.labels,
    entry: metadata.annotations?.['sealgate.io/access-entry'],
    rotated: metadata.annotations?.['sealgate.io/rotated'],
    fields: Object.keys((rest as { data?: object }).data ?? {}).toSorted(),
  }));
  return {
    gone,
    conditions: gone
      ? []
      : world
          .status()
          .conditions.map(({ type, reason }) => `${type} ${reason}`)
          .toSorted(),
    key: gone ? null : world.status().key,
    buckets: [...world.dataPlane.buckets].map(([name, { owner, keyVersion, rotateEvery }]) => [
      name,
      owner,
      keyVersion,
      rotateEvery,
    ]),
    keys: [...world.dataPlane.accessKeyStore.values()]
      .map(({ owner, grants, expiresAt }) => JSON.stringify({ owner, grants, ends: expiresAt !== null }))
      .toSorted(),
    secrets,
    dead: deadSecrets(world),
  };
}

describe('cut off before and after every message', () => {
  test.each(Object.entries(SCENARIOS))(
    '%s comes to the same end, with no stray key and no dead Secret',
    async (name, scenario) => {
      const { world: whole, cutter: counter } = await prepared(scenario);
      scenario.change(whole);
      counter.disarm();
      await settle(whole);
      const steps = counter.steps;
      const expected = endState(whole);
      expect(expected).toMatchObject({ dead: [] });
      let cuts = 0;
      for (let step = 1; step <= steps; step += 1) {
        for (const side of ['before', 'after'] as const) {
          const { world, cutter } = await prepared(scenario);
          scenario.change(world);
          cutter.arm(step, side);
          await expect(settle(world)).rejects.toThrow(CutOff);
          expect(cutter.happened).toBe(true);
          if (scenario.alwaysAlive === true) expect(deadSecrets(world)).toEqual([]);
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

  test('a key that was made for nobody is revoked at the next look', async () => {
    const world = setUpBuckets();
    declareAll(world);
    world.api.around = async (call, act) => {
      await Promise.resolve();
      if (call.startsWith('create Secret')) throw new CutOff('crash');
      return act();
    };
    await expect(world.fresh().reconcile(KEY, NEVER)).rejects.toThrow(CutOff);
    const [stray] = world.keyIds(OWNER);
    expect(stray).toBeDefined();
    world.api.around = async (_call, act) => await Promise.resolve().then(act);
    await settle(world);
    expect(world.keyIds(OWNER)).not.toContain(stray);
    expect(world.keyIds(OWNER)).toHaveLength(1);
  });
});
