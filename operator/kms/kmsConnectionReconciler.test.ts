import { describe, expect, test } from 'vitest';
import { KMS_CONNECTION, POD, SECRET } from '../kube/kinds.ts';
import { type ConnectionWorld, KEY, NAME, NEVER, setUpConnections } from './kms.testkit.ts';
import type { EndpointVerdict } from './probe.ts';
import { connectionsReferringTo } from './references.ts';

/** Looks until nothing more follows, as the controller does. */
async function reconcile(world: ConnectionWorld, reconciler = world.fresh()) {
  let result = await reconciler.reconcile(KEY, NEVER);
  for (let look = 0; look < 3; look += 1) {
    await world.settle();
    result = await reconciler.reconcile(KEY, NEVER);
  }
  return { reconciler, result };
}

async function inForce(spec = {}): Promise<ConnectionWorld> {
  const world = setUpConnections();
  world.declare(spec);
  await reconcile(world);
  return world;
}

describe('a new connection', () => {
  test('is rendered, brought to the pod, probed and told', async () => {
    const world = await inForce();
    const types = [
      'Ready',
      'Reachable',
      'Authenticated',
      'CertificateValid',
      'FleetSynced',
      'DeletionBlocked',
    ];
    expect(types.map((type) => `${type} ${world.condition(type)}`)).toEqual([
      'Ready True Ready',
      'Reachable True AllEndpointsReached',
      'Authenticated True Accepted',
      'CertificateValid True Valid',
      'FleetSynced True Synced',
      'DeletionBlocked False NotDeleting',
    ]);
    expect(world.status()).toMatchObject({
      observedGeneration: 1,
      protocolVersion: '1.3',
      serverVendor: 'Fake KMS',
      endpointsUp: '1/1',
      endpoints: [{ host: 'ks1', port: 5696, state: 'Up' }],
      buckets: 0,
      fleet: { desired: 1, synced: 1 },
    });
    expect(world.told).toEqual(['Normal Ready']);
  });

  test('makes the shard with the labels of the fleet, and shares it with others', async () => {
    const world = await inForce();
    const secret = world.api.peek(SECRET, world.shards.secretOf(KEY));
    expect(secret?.metadata.labels).toMatchObject({ 'app.kubernetes.io/instance': 'sealgate' });
    expect(Object.keys(world.rendered())).toHaveLength(4);
    const other = { namespace: 'team-b', name: 'x' };
    const shard = await world.shards.read(other, NEVER);
    await world.shards.write(other, shard, { 'team-b.x.json': '{}' }, NEVER);
    expect(Object.keys(world.rendered())).toHaveLength(4);
  });

  test('without its Secret waits for it, and says for which', async () => {
    const world = setUpConnections();
    world.api.remove(SECRET, { namespace: 'team-a', name: 'client' });
    world.declare();
    await reconcile(world);
    expect(world.condition('Ready')).toBe('False SecretNotFound');
    expect(world.condition('FleetSynced')).toBe('False NothingRendered');
    expect(world.rendered()).toEqual({});
    world.giveSecret(0);
    await reconcile(world);
    expect(world.condition('Ready')).toBe('True Ready');
  });
});

test.each([
  ['a certificate', 'tls.crt', '-----BEGIN CERTIFICATE-----\nspoiled\n-----END CERTIFICATE-----\n'],
  ['a document', 'json', '{}'],
])('%s that somebody spoiled in the shard is repaired', async (_what, ending, text) => {
  const world = await inForce();
  const good = world.rendered();
  const data = { [`team-a.keysecure.${ending}`]: Buffer.from(text).toString('base64') };
  world.api.edit(SECRET, world.shards.secretOf(KEY), { data });
  await reconcile(world);
  expect(world.rendered()).toEqual(good);
  expect(world.condition('Ready')).toBe('True Ready');
});

test('a certificate that was spoiled in the shard counts as none in force while there is no other', async () => {
  const world = await inForce();
  const data = { 'team-a.keysecure.tls.crt': Buffer.from('spoiled').toString('base64') };
  world.api.edit(SECRET, world.shards.secretOf(KEY), { data });
  world.api.remove(SECRET, { namespace: 'team-a', name: 'client' });
  const { reconciler } = await reconcile(world);
  await world.clock.advance(10_000);
  await reconcile(world, reconciler);
  expect(world.condition('Ready')).toBe('False SecretNotFound');
  expect(world.condition('FleetSynced')).toBe('False NothingRendered');
});

test('the steady state asks the API server nothing and writes nothing', async () => {
  const world = await inForce();
  const { reconciler } = await reconcile(world);
  world.api.calls.length = 0;
  for (let minute = 0; minute < 3; minute += 1) {
    await world.clock.advance(70_000);
    await reconciler.reconcile(KEY, NEVER);
    await world.settle();
  }
  expect(world.api.calls).toEqual([]);
  expect(world.told).toEqual(['Normal Ready']);
});

test('a look asks a pod for this connection alone, however many others there are', async () => {
  const world = await inForce();
  const { reconciler } = await reconcile(world);
  for (let other = 0; other < 500; other += 1) world.dataPlane.connections.set(`team-b/c${other}`, 'r');
  world.dataPlane.calls.length = 0;
  await reconciler.reconcile(KEY, NEVER);
  expect(world.dataPlane.calls).toEqual([`status ${NAME}`, `connectionUse ${NAME}`]);
  expect((await world.dataPlane.statusOf(NAME)).kms).toHaveLength(1);
  expect(world.condition('Ready')).toBe('True Ready');
});

test('a probe is made on change and about once a minute, and tells only news', async () => {
  const world = await inForce();
  const { reconciler, result } = await reconcile(world);
  expect(result.requeueAfterMs).toBeLessThanOrEqual(66_000);
  const before = world.probes;
  await reconciler.reconcile(KEY, NEVER);
  expect(world.probes).toBe(before);
  await world.clock.advance(66_000);
  world.enqueued.length = 0;
  await reconciler.reconcile(KEY, NEVER);
  await world.settle();
  expect([world.probes, world.enqueued]).toEqual([before + 1, []]);
  world.verdicts = ['Unreachable'];
  await world.clock.advance(66_000);
  await reconciler.reconcile(KEY, NEVER);
  await world.settle();
  expect(world.enqueued).toEqual([NAME]);
});

describe('a Secret', () => {
  test('that is renewed comes into force by itself', async () => {
    const world = await inForce();
    const before = world.dataPlane.connections.get(NAME);
    world.giveSecret(1);
    await reconcile(world);
    expect(world.condition('Ready')).toBe('True Ready');
    expect(world.dataPlane.connections.get(NAME)).not.toBe(before);
  });

  test.each([
    [
      'deleted',
      (world: ConnectionWorld) => world.api.remove(SECRET, { namespace: 'team-a', name: 'client' }),
      'SecretNotFound',
    ],
    [
      'replaced by one that has expired',
      (world: ConnectionWorld) => world.giveSecret('expired'),
      'CertificateExpired',
    ],
    [
      'spoiled',
      (world: ConnectionWorld) =>
        world.api.edit(SECRET, { namespace: 'team-a', name: 'client' }, { data: { 'tls.key': 'eA==' } }),
      'SecretInvalid',
    ],
  ])(
    'that is %s leaves the last good one in force, and the condition says so',
    async (_what, spoil, reason) => {
      const world = await inForce();
      const before = world.rendered();
      spoil(world);
      await reconcile(world);
      expect(world.condition('Ready')).toBe(`False ${reason}`);
      expect(world.condition('FleetSynced')).toBe('True Synced');
      expect(world.condition('Reachable')).toBe('True AllEndpointsReached');
      expect(world.rendered()).toEqual(before);
      expect(world.status().conditions.find(({ reason: r }) => r === reason)?.message).toContain(
        'stays in force',
      );
    },
  );

  test('concerns the connections that refer to it, and no others', () => {
    const world = setUpConnections();
    world.declare();
    world.declare({}, { namespace: 'team-b', name: 'keysecure' });
    const secret = world.api.peek(SECRET, { namespace: 'team-a', name: 'client' });
    if (secret === null) throw new Error('no Secret');
    expect(connectionsReferringTo(world.connections, 'secret', secret)).toEqual([KEY]);
  });
});

describe('a KMS', () => {
  test.each<[EndpointVerdict[], string, string, string]>([
    [['Unreachable'], 'Reachable', 'False Unreachable', '0/1'],
    [['TlsFailed'], 'Reachable', 'False TlsFailed', '0/1'],
    [['KmsFailed'], 'Reachable', 'False KmsFailed', '0/1'],
    [['AuthenticationFailed'], 'Authenticated', 'False AuthenticationFailed', '0/1'],
    [['PermissionDenied'], 'Authenticated', 'False PermissionDenied', '0/1'],
    [['Unreachable', 'TlsFailed'], 'Reachable', 'False TlsFailed', '0/2'],
    [['Unreachable', 'PermissionDenied'], 'Authenticated', 'False PermissionDenied', '0/2'],
  ])('whose endpoints are %j makes %s=%s', async (verdicts, type, expected, up) => {
    const world = setUpConnections();
    world.verdicts = verdicts;
    world.declare();
    await reconcile(world);
    expect(world.condition(type)).toBe(expected);
    expect(world.condition('Ready')).toBe(expected);
    expect(world.status().endpointsUp).toBe(up);
  });

  test('with one endpoint of two is still ready, and tells which is down', async () => {
    const world = setUpConnections();
    world.verdicts = ['Up', 'Unreachable'];
    world.declare();
    await reconcile(world);
    expect(world.condition('Ready')).toBe('True Ready');
    expect(world.condition('Reachable')).toBe('True SomeEndpointsNotReached');
    expect(world.status().endpoints?.[1]).toMatchObject({
      host: 'ks2',
      state: 'Down',
      message: 'it is Unreachable',
    });
  });

  test('that comes back makes the connection ready, and what it was is not forgotten meanwhile', async () => {
    const world = await inForce();
    const { reconciler } = await reconcile(world);
    for (const [verdict, ready] of [
      ['Unreachable', 'False Unreachable'],
      ['Up', 'True Ready'],
    ] as const) {
      world.verdicts = [verdict];
      await world.clock.advance(70_000);
      await reconcile(world, reconciler);
      expect(world.condition('Ready')).toBe(ready);
      expect(world.status()).toMatchObject({ protocolVersion: '1.3', serverVendor: 'Fake KMS' });
    }
    expect(world.told).toEqual(['Normal Ready', 'Warning Unreachable', 'Normal Ready']);
  });
});

describe('a change whose probe is still under way', () => {
  const ready = (world: ConnectionWorld) => world.status().conditions.find(({ type }) => type === 'Ready');
  const held = (world: ConnectionWorld): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    world.probing = promise;
    world.enqueued.length = 0;
    world.declare({ kmip: { endpoints: [{ host: 'other' }], tls: { secretRef: { name: 'client' } } } });
    return resolve;
  };

  test('is not told of what was ready, until it is known, also that it is as before', async () => {
    const world = await inForce();
    const { reconciler } = await reconcile(world);
    const release = held(world);
    await reconciler.reconcile(KEY, NEVER);
    await reconciler.reconcile(KEY, NEVER);
    expect(ready(world)).toMatchObject({ status: 'True', observedGeneration: 1 });
    expect(world.status().observedGeneration).toBe(1);
    release();
    await world.settle();
    expect(world.enqueued).toEqual([NAME]);
    await reconciler.reconcile(KEY, NEVER);
    expect(ready(world)).toMatchObject({ status: 'True', observedGeneration: 2 });
    expect(world.told).toEqual(['Normal Ready']);
  });

  test('does not keep back that the pods have not followed', async () => {
    const world = await inForce();
    const { reconciler } = await reconcile(world);
    world.kubeletFollows = false;
    held(world);
    await reconciler.reconcile(KEY, NEVER);
    await world.clock.advance(10_000);
    await reconciler.reconcile(KEY, NEVER);
    expect(ready(world)).toMatchObject({ status: 'False', reason: 'NotSynced', observedGeneration: 2 });
  });

  test('is not told by what the probe before it found', async () => {
    const world = setUpConnections();
    world.verdicts = ['Unreachable'];
    world.declare();
    const { reconciler } = await reconcile(world);
    held(world);
    await reconciler.reconcile(KEY, NEVER);
    expect(world.condition('Reachable')).toBe('Unknown NotProbed');
    expect(ready(world)).toMatchObject({ status: 'Unknown', reason: 'NotProbed', observedGeneration: 2 });
  });

  test('after a new operator has begun leaves what was ready as it is', async () => {
    const world = await inForce();
    const { promise } = Promise.withResolvers<void>();
    world.probing = promise;
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('True Ready');
    expect(world.condition('Reachable')).toBe('True AllEndpointsReached');
  });
});

describe('the fleet', () => {
  test('without a pod is told', async () => {
    const world = setUpConnections();
    world.podsThere = false;
    world.declare();
    await reconcile(world);
    expect(world.condition('FleetSynced')).toBe('False NoPods');
  });

  test('whose pod does not answer is told', async () => {
    const world = await inForce();
    world.dataPlane.reachable = false;
    await reconcile(world);
    expect(world.condition('FleetSynced')).toBe('False PodUnreachable');
    expect(world.status().fleet).toEqual({ desired: 1, synced: 0 });
  });

  test('that refuses the files is told in its own words', async () => {
    const world = setUpConnections();
    world.kubeletFollows = false;
    world.dataPlane.refusedConnections = [
      {
        file: 'team-a.keysecure.json',
        name: NAME,
        at: '2030-01-01T00:00:00Z',
        problems: ['kmip: must be better'],
      },
    ];
    world.declare();
    await reconcile(world);
    expect(world.condition('Ready')).toBe('False ConfigRefused');
    expect(world.status().conditions[0]?.message).toContain('must be better');
  });

  test('that does not follow is nudged three times, ten seconds apart, and looked at less and less often', async () => {
    const world = setUpConnections();
    world.kubeletFollows = false;
    world.declare();
    const reconciler = world.fresh();
    const patches = (): number => world.api.calls.filter((call) => call.startsWith('patch Pod')).length;
    const [looks, nudges]: [number[], number[]] = [[], []];
    for (let second = 0; second < 300; ) {
      const before = patches();
      const { requeueAfterMs = 0 } = await reconciler.reconcile(KEY, NEVER);
      looks.push(second);
      if (patches() > before) nudges.push(second);
      await world.clock.advance(requeueAfterMs);
      second += requeueAfterMs / 1_000;
    }
    expect(nudges).toEqual([0, 10, 20]);
    // The one after a minute is that of the next probe.
    expect(looks).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30, 50, 60, 110, 120, 180, 240]);
    expect(world.condition('FleetSynced')).toBe('False NotSynced');
    const values = world.api.peek(POD, world.pod().key)?.metadata.annotations;
    expect(values?.['sealgate.io/connections-hash']).toMatch(/^[0-9a-f]{32}-2$/);
  });
});

test('the number of buckets is written when it became or ceased to be 0, and else every five minutes at most', async () => {
  const world = await inForce();
  const { reconciler } = await reconcile(world);
  const show = async (count: number): Promise<number | undefined> => {
    world.dataPlane.buckets.clear();
    for (let n = 0; n < count; n += 1) world.dataPlane.addBucket(`b${n}`);
    await reconciler.reconcile(KEY, NEVER);
    return world.status().buckets;
  };
  expect(await show(1)).toBe(1);
  expect(await show(2)).toBe(1);
  await world.clock.advance(300_000);
  expect(await show(3)).toBe(3);
  expect(await show(0)).toBe(0);
});

describe('deleting a connection', () => {
  const isGone = (world: ConnectionWorld): boolean => world.api.peek(KMS_CONNECTION, KEY) === null;

  test('takes it out of the data plane first, and then goes', async () => {
    const world = await inForce();
    world.api.remove(KMS_CONNECTION, KEY);
    world.kubeletFollows = false;
    const reconciler = world.fresh();
    await reconciler.reconcile(KEY, NEVER);
    expect(world.condition('DeletionBlocked')).toBe('True BeingRemoved');
    expect(world.rendered()).toEqual({});
    world.bringFiles();
    await reconciler.reconcile(KEY, NEVER);
    expect(isGone(world)).toBe(true);
  });

  test('waits while a key hangs on it, stays in force, and says how many', async () => {
    const world = await inForce();
    world.dataPlane.addBucket('invoices');
    world.api.remove(KMS_CONNECTION, KEY);
    await reconcile(world);
    expect(world.condition('DeletionBlocked')).toBe('True InUse');
    expect(world.condition('Ready')).toBe('True Ready');
    expect(world.told).toContain('Warning InUse');
    world.giveSecret(1);
    await reconcile(world);
    expect(world.condition('FleetSynced')).toBe('True Synced');
    world.dataPlane.buckets.clear();
    await reconcile(world);
    expect(isGone(world)).toBe(true);
    expect(world.dataPlane.connections.size).toBe(0);
  });

  test.each([
    ['slowly', (): void => undefined],
    ['at once', (world: ConnectionWorld): void => world.bringFiles()],
  ])(
    'brings the files back when a key was made in the meantime and the pod followed %s',
    async (_how, follow) => {
      const world = await inForce();
      world.api.remove(KMS_CONNECTION, KEY);
      world.api.around = async (call, act) => {
        await Promise.resolve();
        const taken = call.startsWith('patch Secret') && world.dataPlane.buckets.size === 0;
        if (taken) world.dataPlane.addBucket('invoices');
        const answer = act();
        if (taken) follow(world);
        return answer;
      };
      await reconcile(world);
      expect(world.condition('DeletionBlocked')).toBe('True InUse');
      expect(Object.keys(world.rendered())).toHaveLength(4);
      expect(world.dataPlane.connections.has(NAME)).toBe(true);
    },
  );

  test.each([
    [
      'no pod runs',
      (world: ConnectionWorld) => {
        world.podsThere = false;
      },
    ],
    [
      'the pod does not answer',
      (world: ConnectionWorld) => {
        world.dataPlane.reachable = false;
      },
    ],
  ])('waits while %s, unless by force', async (_what, spoil) => {
    const world = await inForce();
    world.dataPlane.addBucket('invoices');
    spoil(world);
    world.api.remove(KMS_CONNECTION, KEY);
    await reconcile(world);
    expect(world.condition('DeletionBlocked')).toBe('True DataPlaneUnreachable');
    world.api.edit(KMS_CONNECTION, KEY, {
      metadata: { annotations: { 'sealgate.io/force-delete': 'true' } },
    });
    await reconcile(world);
    expect(isGone(world)).toBe(true);
    expect(world.rendered()).toEqual({});
  });

  test('that was made again since the cache last heard of it leaves it in force', async () => {
    const world = await inForce();
    world.api.remove(KMS_CONNECTION, KEY);
    const shown = world.connections.get(KEY);
    if (shown === undefined) throw new Error('it went without its finalizer');
    world.api.edit(KMS_CONNECTION, KEY, { metadata: { finalizers: [] } });
    world.declare();
    world.connections.upsert(shown);
    await reconcile(world);
    expect(Object.keys(world.rendered())).toHaveLength(4);
    expect(world.dataPlane.connections.has(NAME)).toBe(true);
  });
});

test('no condition or event holds a key or a password', async () => {
  const world = await inForce();
  expect(JSON.stringify(world.status())).not.toMatch(/PRIVATE|BEGIN/);
});
