import { describe, expect, test } from 'vitest';
import { KMS_CONNECTION, SECRET } from '../kube/kinds.ts';
import { KubeError } from '../kube/kubeApi.ts';
import { type ConnectionWorld, KEY, NEVER, setUpConnections } from './kms.testkit.ts';

const base64 = (bytes: number): string => Buffer.alloc(bytes, 'x').toString('base64');

/** Looks twice, so that a probe has ended. */
async function look(world: ConnectionWorld, reconciler = world.fresh()): Promise<void> {
  await reconciler.reconcile(KEY, NEVER);
  await world.settle();
  await reconciler.reconcile(KEY, NEVER);
}

async function inForce(): Promise<ConnectionWorld> {
  const world = setUpConnections();
  world.declare();
  await look(world);
  return world;
}

const shardOf = (world: ConnectionWorld) => world.shards.secretOf(KEY);
const message = (world: ConnectionWorld, type = 'FleetSynced'): string =>
  world.status().conditions.find((condition) => condition.type === type)?.message ?? '';
const writesOfShard = (world: ConnectionWorld): string[] =>
  world.api.calls.filter((call) => /^(?:patch|create|apply) Secret sealgate-system/.test(call));

describe('a Secret that has no room', () => {
  test('is told with the room that there is, without a try, and filled when others have gone', async () => {
    const world = setUpConnections();
    world.api.edit(SECRET, shardOf(world), { data: { 'team-b.other.tls.crt': base64(1024 * 1024 - 100) } });
    world.declare();
    const reconciler = world.fresh();
    await look(world, reconciler);
    expect(world.condition('FleetSynced')).toBe('False SecretFull');
    expect(world.condition('Ready')).toBe('False SecretFull');
    expect(message(world)).toMatch(
      /^Secret sealgate-system\/sealgate-connections-. has no room: .* 1048576 /,
    );
    expect(writesOfShard(world)).toEqual([]);
    expect(world.told).toEqual(['Warning SecretFull']);
    world.api.edit(SECRET, shardOf(world), { data: { 'team-b.other.tls.crt': null } });
    await look(world, reconciler);
    expect(world.condition('Ready')).toBe('True Ready');
  });

  test('leaves the last good one in force, and lets what is no larger through', async () => {
    const world = await inForce();
    const before = world.rendered();
    world.api.edit(SECRET, shardOf(world), { data: { 'team-b.other.tls.crt': base64(1024 * 1024) } });
    world.declare({ kmip: { endpoints: [{ host: 'a-much-longer-name-than-before.example.com' }] } });
    await look(world);
    expect(world.condition('FleetSynced')).toBe('False SecretFull');
    expect(message(world)).toContain('what was in force before stays in force');
    expect(world.condition('CertificateValid')).toBe('True Valid');
    expect(world.rendered()).toEqual(before);
    world.api.remove(KMS_CONNECTION, KEY);
    await look(world);
    expect(world.api.peek(KMS_CONNECTION, KEY)).toBeNull();
  });
});

describe('one namespace', () => {
  const KIB = 1024;
  const fill = (world: ConnectionWorld, namespace: string, bytes: number): void => {
    world.api.edit(SECRET, shardOf(world), { data: { [`${namespace}.other.ca.crt`]: base64(bytes) } });
  };

  test('gets a part of the Secret, and what it is refused for is told with what to do', async () => {
    const world = setUpConnections();
    fill(world, 'team-a', 256 * KIB - 100);
    world.declare();
    const reconciler = world.fresh();
    await look(world, reconciler);
    expect(world.condition('Ready')).toBe('False SecretFull');
    expect(message(world)).toMatch(
      /^Secret sealgate-system\/sealgate-connections-. has no room for more of namespace team-a: .* 262144 is the most; make .* smaller, delete .* or/,
    );
    expect(writesOfShard(world)).toEqual([]);
    fill(world, 'team-a', 200 * KIB);
    await look(world, reconciler);
    expect(world.condition('Ready')).toBe('True Ready');
  });

  test('takes nothing from another, whose name may begin with its own', async () => {
    const world = setUpConnections();
    fill(world, 'team-b', 256 * KIB);
    fill(world, 'team-a-two', 256 * KIB);
    world.declare();
    await look(world);
    expect(world.condition('Ready')).toBe('True Ready');
  });

  test('has room left for what renews a connection that is in force', async () => {
    const world = await inForce();
    fill(world, 'team-a', 256 * KIB);
    const tls = { secretRef: { name: 'client' } };
    world.declare({ kmip: { endpoints: [{ host: 'a-much-longer-name-than-before.example.com' }], tls } });
    await look(world);
    expect(world.condition('Ready')).toBe('True Ready');
    expect(JSON.stringify(world.rendered())).toContain('a-much-longer-name');
    fill(world, 'team-a', 320 * KIB);
    const before = world.rendered();
    world.declare({ kmip: { endpoints: [{ host: `${'longer-'.repeat(8)}name.example.com` }], tls } });
    await look(world);
    expect(world.condition('Ready')).toBe('False SecretFull');
    expect(message(world)).toMatch(/ 327680 is the most; .*what was in force before stays in force$/);
    expect(world.rendered()).toEqual(before);
  });
});

describe('a Secret that cannot be written', () => {
  const refusal = new KubeError('Forbidden', 'patch Secret x: Forbidden (HTTP 403)', { status: 403 });
  const ways: readonly [string, (world: ConnectionWorld) => void, RegExp][] = [
    [
      'because it is immutable',
      (world) => world.api.edit(SECRET, shardOf(world), { immutable: true }),
      /is immutable/,
    ],
    [
      'because the API server refuses it',
      (world) => {
        world.api.around = async (call, act) => {
          await Promise.resolve();
          if (/^(?:patch|create) Secret sealgate-system/.test(call)) throw refusal;
          return act();
        };
      },
      /refuses Secret .*Forbidden/,
    ],
  ];

  test.each(ways)('%s is told, and the last good one stays in force', async (_why, spoil, words) => {
    const world = await inForce();
    const before = world.rendered();
    spoil(world);
    world.giveSecret(1);
    await look(world);
    expect(world.condition('Ready')).toBe('False SecretNotWritable');
    expect(message(world)).toMatch(words);
    expect(message(world)).toContain('what was in force before stays in force');
    expect(world.rendered()).toEqual(before);
    expect(JSON.stringify(world.status())).not.toMatch(/PRIVATE|BEGIN/);
  });

  test.each(ways)('%s holds a deletion, unless by force', async (_why, spoil, words) => {
    const world = await inForce();
    spoil(world);
    world.api.remove(KMS_CONNECTION, KEY);
    await look(world);
    expect(world.condition('DeletionBlocked')).toBe('True SecretNotWritable');
    expect(message(world, 'DeletionBlocked')).toMatch(words);
    world.api.edit(KMS_CONNECTION, KEY, {
      metadata: { annotations: { 'sealgate.io/force-delete': 'true' } },
    });
    await look(world);
    expect(world.api.peek(KMS_CONNECTION, KEY)).toBeNull();
  });

  test('stays as it is while nothing changes', async () => {
    const world = await inForce();
    world.api.edit(SECRET, shardOf(world), { immutable: true });
    await look(world);
    expect(world.condition('Ready')).toBe('True Ready');
  });

  test.each([
    ['does not answer', 'Unavailable', 0],
    ['does not know us', 'Unavailable', 401],
  ] as const)(
    'because the API server %s is no fault of the Secret: it is tried again',
    async (_w, code, status) => {
      const world = await inForce();
      world.giveSecret(1);
      world.api.around = async (call, act) => {
        await Promise.resolve();
        if (call.startsWith('patch Secret')) throw new KubeError(code, 'patch Secret', { status });
        return act();
      };
      await expect(look(world)).rejects.toMatchObject({ code, status });
      expect(world.condition('Ready')).toBe('True Ready');
    },
  );
});
