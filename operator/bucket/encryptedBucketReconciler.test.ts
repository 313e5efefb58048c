import { describe, expect, test } from 'vitest';
import { refusal } from '../admin/fakeDataPlane.testkit.ts';
import { ENCRYPTED_BUCKET, KMS_CONNECTION } from '../kube/kinds.ts';
import { ACCESS, type BucketWorld, KEY, NAMESPACE, NEVER, OWNER, setUpBuckets } from './bucket.testkit.ts';

async function declared(spec = {}): Promise<BucketWorld> {
  const world = setUpBuckets();
  world.declare(spec);
  await world.fresh().reconcile(KEY, NEVER);
  return world;
}

const CONDITIONS = ['Ready', 'KeyReady', 'BucketReady', 'AccessReady', 'RewrapComplete', 'DeletionBlocked'];

describe('a new bucket', () => {
  test('is declared under its owner, and its status tells everything that is known', async () => {
    const world = await declared({ keyRotation: { interval: '2160h' }, access: ACCESS });
    expect(world.dataPlane.buckets.get('invoices')).toMatchObject({
      owner: OWNER,
      kmsConnection: 'team-a/keysecure',
      rotateEvery: '2160h',
    });
    expect(CONDITIONS.map((type) => `${type} ${world.condition(type)}`)).toEqual([
      'Ready True Ready',
      'KeyReady True KeyActive',
      'BucketReady True Declared',
      'AccessReady True SecretsReady',
      'RewrapComplete True Complete',
      'DeletionBlocked False NotDeleting',
    ]);
    expect(world.status()).toMatchObject({
      observedGeneration: 1,
      bucketName: 'invoices',
      bucketUID: '1'.padStart(32, '0'),
      endpoints: { internal: 'https://10.96.3.7' },
      key: { version: 1, state: 'Current' },
      keyVersions: [{ version: 1, kmsConnectionRef: { name: 'keysecure', namespace: 'team-a' } }],
      rewrap: { done: 0, total: 0 },
      usage: { objects: 0, size: '0' },
    });
    expect(world.told).toEqual(['Normal Ready']);
  });

  test('has its finalizer before the data plane hears of it', async () => {
    const world = setUpBuckets();
    world.declare();
    world.dataPlane.around = async () => {
      await Promise.resolve();
      throw refusal('Stop');
    };
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.api.peek(ENCRYPTED_BUCKET, KEY)?.metadata.finalizers).toEqual(['sealgate.io/finalizer']);
  });

  test.each([
    ['KmsUnavailable', 'KeyReady', 'False KmsUnavailable'],
    ['KmsRefused', 'KeyReady', 'False KmsRefused'],
    ['NoSuchConnection', 'KeyReady', 'False ConnectionNotReady'],
    ['BucketNameTaken', 'BucketReady', 'False BucketNameTaken'],
    ['NotEncryptable', 'BucketReady', 'False AdoptRefused'],
    ['BucketDeleting', 'BucketReady', 'False BeingPurged'],
    ['Damaged', 'BucketReady', 'False Damaged'],
    ['InvalidArgument', 'BucketReady', 'False DeclarationRefused'],
    ['Unreachable', 'BucketReady', 'Unknown DataPlaneUnreachable'],
  ])('that the data plane refuses with %s says %s=%s, and so does Ready', async (code, type, expected) => {
    const world = setUpBuckets();
    world.declare();
    world.dataPlane.around = async (call, act) => {
      await Promise.resolve();
      if (call.startsWith('declareBucket')) throw refusal(code);
      return act();
    };
    const { requeueAfterMs } = await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition(type)).toBe(expected);
    expect(world.condition('Ready')).toBe(expected);
    expect(CONDITIONS.map((condition) => world.condition(condition))).not.toContain('undefined undefined');
    expect(requeueAfterMs).toBeLessThanOrEqual(60_000);
  });

  test.each([
    ['Creating', 'KeyReady', 'False Creating'],
    ['Deleting', 'BucketReady', 'False BeingPurged'],
    ['Damaged', 'BucketReady', 'False Damaged'],
  ] as const)('in state %s says %s=%s', async (state, type, expected) => {
    const world = setUpBuckets();
    world.declare();
    world.dataPlane.around = async (call, act) => {
      await Promise.resolve();
      const answer = act();
      if (call.startsWith('declareBucket')) Object.assign(answer as object, { state });
      return answer;
    };
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition(type)).toBe(expected);
  });

  test('waits without a pod, and does not claim to have acted', async () => {
    const world = setUpBuckets();
    world.podRuns = false;
    world.declare();
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('Unknown DataPlaneUnreachable');
  });
});

describe('a bucket in the steady state', () => {
  test('is written to nobody, and read from the data plane alone', async () => {
    const world = await declared({ access: ACCESS });
    const reconciler = world.fresh();
    await reconciler.reconcile(KEY, NEVER);
    world.api.calls.length = 0;
    world.dataPlane.calls.length = 0;
    world.dataPlane.changes = 0;
    for (let round = 0; round < 3; round += 1) await reconciler.reconcile(KEY, NEVER);
    expect(world.api.calls).toEqual([]);
    expect(world.dataPlane.changes).toBe(0);
    expect(world.dataPlane.calls.slice(0, 2)).toEqual(['declareBucket invoices', `accessKeys ${OWNER}`]);
    expect(world.told).toEqual(['Normal Ready']);
  });

  test('costs the same beside 500 others', async () => {
    const world = await declared({ access: ACCESS });
    for (let n = 0; n < 500; n += 1) world.declare({}, { namespace: 'team-a', name: `other-${n}` });
    const reconciler = world.fresh();
    await reconciler.reconcile(KEY, NEVER);
    world.api.calls.length = 0;
    world.dataPlane.calls.length = 0;
    await reconciler.reconcile(KEY, NEVER);
    expect(world.api.calls.length + world.dataPlane.calls.length).toBe(2);
  });

  test.each(['KmsUnavailable', 'KmsRefused', 'NoSuchConnection'])(
    'does not change its status when the KMS is in trouble (%s)',
    async (code) => {
      const world = await declared();
      const before = world.status();
      world.dataPlane.around = async (call, act) => {
        await Promise.resolve();
        if (call.startsWith('declareBucket')) throw refusal(code);
        return act();
      };
      await world.fresh().reconcile(KEY, NEVER);
      expect(world.status()).toEqual(before);
    },
  );

  test.each([
    ['declareBucket', {}, {}],
    ['bucket', { kmsConnectionRef: { name: 'nothing' } }, {}],
    ['rotateBucket', {}, { 'sealgate.io/rotate-key': 'now' }],
  ])('whose record is damaged by now, as %s tells, says so', async (refused, spec, annotations) => {
    const world = await declared({ access: ACCESS });
    world.dataPlane.around = async (call, act) => {
      await Promise.resolve();
      if (call.startsWith(`${refused} `)) throw refusal('Damaged');
      return act();
    };
    world.declare(spec);
    world.annotate(annotations);
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('BucketReady')).toBe('False Damaged');
    expect(world.condition('Ready')).toBe('False Damaged');
    expect(world.told).toContain('Warning Damaged');
  });

  test('does not change its status while the data plane is away, unless its spec changed', async () => {
    const world = await declared();
    const before = world.status();
    world.dataPlane.reachable = false;
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.status()).toEqual(before);
    world.declare({ keyRotation: { interval: '24h' } });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('Unknown DataPlaneUnreachable');
  });

  test('shows usage every five minutes at most, and only when it moved by more than one percent', async () => {
    const world = await declared();
    const reconciler = world.fresh();
    const show = async (objects: number): Promise<number | undefined> => {
      world.dataPlane.change('invoices', { usage: { objects, bytes: objects * 1_000 } });
      await reconciler.reconcile(KEY, NEVER);
      return world.status().usage?.objects;
    };
    expect(await show(1_000)).toBe(1_000);
    expect(await show(2_000)).toBe(1_000);
    await world.clock.advance(5 * 60_000);
    expect(await show(1_005)).toBe(1_000);
    expect(await show(2_000)).toBe(2_000);
    expect(await show(0)).toBe(0);
    expect(world.status().usage).toMatchObject({ size: '0' });
  });

  test('is declared anew after the data plane lost it, and an event says so', async () => {
    const world = await declared();
    world.dataPlane.buckets.clear();
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('True Ready');
    expect(world.told).toContain('Warning BucketRecreated');
  });

  test('is claimed again by its name when its status and its UID are lost', async () => {
    const world = await declared();
    world.api.edit(ENCRYPTED_BUCKET, KEY, { metadata: { uid: 'another' }, status: null });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('True Ready');
    expect(world.dataPlane.buckets.size).toBe(1);
  });
});

describe('a rewrap', () => {
  test.each([
    [{ state: 'Running', done: 1, remaining: 2, damaged: 0, message: null }, 'False Rewrapping'],
    [
      { state: 'Waiting', done: 1, remaining: 2, damaged: 0, message: 'the KMS is down' },
      'False RewrapWaiting',
    ],
    [{ state: 'Running', done: 1, remaining: 2, damaged: 1, message: null }, 'False SealsDamaged'],
  ] as const)('%j is told as %s, and keeps nothing from being ready', async (rewrap, expected) => {
    const world = await declared();
    world.dataPlane.change('invoices', { rewrap });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('RewrapComplete')).toBe(expected);
    expect(world.condition('Ready')).toBe('True Ready');
    const [, reason = ''] = expected.split(' ');
    expect(world.told).toContain(`${reason === 'Rewrapping' ? 'Normal' : 'Warning'} ${reason}`);
  });
});

describe('a rotation of the key', () => {
  test('that nobody asked for, by the schedule say, is told once', async () => {
    const world = await declared();
    await world.dataPlane.rotateBucket('invoices', 'by the schedule');
    await world.fresh().reconcile(KEY, NEVER);
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.status()).toMatchObject({ key: { version: 2 } });
    expect(world.told.filter((event) => event === 'Normal KeyRotated')).toHaveLength(1);
  });

  test('is made once for each value of the annotation, whoever asks again', async () => {
    const world = await declared();
    world.annotate({ 'sealgate.io/rotate-key': '2030-02-01' });
    await world.fresh().reconcile(KEY, NEVER);
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.status()).toMatchObject({ key: { version: 2 } });
    expect(world.told.filter((event) => event === 'Normal KeyRotated')).toHaveLength(1);
    world.annotate({ 'sealgate.io/rotate-key': '2030-03-01' });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.status().key?.version).toBe(3);
  });

  const ROTATE = { 'sealgate.io/rotate-key': '2030-02-01' };

  test('that was asked for before there was a bucket is none; the next value is one', async () => {
    const world = setUpBuckets();
    world.declare();
    world.annotate(ROTATE);
    await world.fresh().reconcile(KEY, NEVER);
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.status().key?.version).toBe(1);
    expect(world.told).not.toContain('Normal KeyRotated');
    world.annotate({ 'sealgate.io/rotate-key': '2030-03-01' });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.status().key?.version).toBe(2);
  });

  test.each([1, 2])(
    'is not made again for a resource that is made again with its annotation, key version %i',
    async (version) => {
      const world = setUpBuckets();
      world.declare();
      if (version === 1) world.annotate(ROTATE);
      await world.fresh().reconcile(KEY, NEVER);
      if (version === 2) world.annotate(ROTATE);
      await world.fresh().reconcile(KEY, NEVER);
      expect(world.status().key?.version).toBe(version);
      world.api.remove(ENCRYPTED_BUCKET, KEY);
      await world.fresh().reconcile(KEY, NEVER);
      expect(world.api.peek(ENCRYPTED_BUCKET, KEY)).toBeNull();
      world.declare();
      world.annotate(ROTATE);
      await world.fresh().reconcile(KEY, NEVER);
      await world.fresh().reconcile(KEY, NEVER);
      expect(world.status().key?.version).toBe(version);
    },
  );

  test('waits for the KMS and says so, while the bucket stays ready', async () => {
    const world = await declared();
    world.dataPlane.kms = 'KmsUnavailable';
    world.annotate({ 'sealgate.io/rotate-key': 'now' });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('KeyReady')).toBe('True RotationPending');
    expect(world.condition('Ready')).toBe('True RotationPending');
    world.dataPlane.kms = 'Up';
    await world.fresh().reconcile(KEY, NEVER);
    expect([world.condition('Ready'), world.status().key?.version]).toEqual(['True Ready', 2]);
  });

  test('is not done while its key version is being made, and is asked for until it is', async () => {
    const world = await declared();
    world.dataPlane.kms = 'KmsUnavailable';
    world.dataPlane.failedRotation = 'Creating';
    world.annotate(ROTATE);
    for (let look = 0; look < 2; look += 1) {
      world.dataPlane.calls.length = 0;
      await world.fresh().reconcile(KEY, NEVER);
      expect(world.condition('Ready')).toBe('True RotationPending');
      expect(world.dataPlane.calls).toContain('rotateBucket invoices');
      expect(world.dataPlane.buckets.get('invoices')?.keyVersions.at(-1)).toMatchObject({
        state: 'Creating',
      });
    }
    world.dataPlane.kms = 'Up';
    await world.fresh().reconcile(KEY, NEVER);
    expect([world.condition('Ready'), world.status().key?.version]).toEqual(['True Ready', 2]);
  });

  test('that the KMS fails for long is tried ever less often, and tells of no key that was never made', async () => {
    const world = await declared();
    world.dataPlane.kms = 'KmsRefused';
    world.dataPlane.failedRotation = 'Destroyed';
    world.annotate(ROTATE);
    const reconciler = world.fresh();
    const delays: (number | undefined)[] = [];
    const look = async (): Promise<void> => {
      delays.push((await reconciler.reconcile(KEY, NEVER)).requeueAfterMs);
    };
    await look();
    world.api.calls.length = 0;
    for (let looks = 0; looks < 6; looks += 1) await look();
    // A quarter less on average, so that not all come at once.
    expect(delays.map((ms = 0) => ms / 0.75)).toEqual(
      [30, 60, 120, 240, 480, 600, 600].map((seconds) => seconds * 1_000),
    );
    expect(world.api.calls).toEqual([]);
    expect(world.dataPlane.buckets.get('invoices')?.keyVersions).toHaveLength(8);
    expect(world.status().keyVersions).toMatchObject([{ version: 1, state: 'Current' }]);
    world.dataPlane.kms = 'Up';
    await look();
    expect(delays.at(-1)).toBe(5 * 60_000);
    expect(world.status().keyVersions).toMatchObject([{ version: 1 }, { version: 9, state: 'Current' }]);
  });

  test('is not done by a key version that was given up for one over another connection', async () => {
    const world = await declared();
    world.dataPlane.kms = 'KmsUnavailable';
    world.dataPlane.failedRotation = 'Creating';
    world.annotate(ROTATE);
    await world.fresh().reconcile(KEY, NEVER);
    const [first, begun] = world.dataPlane.buckets.get('invoices')?.keyVersions ?? [];
    if (first === undefined || begun === undefined) throw new Error('no rotation was begun');
    world.dataPlane.change('invoices', {
      keyVersions: [first, { ...begun, state: 'Retiring' }, { ...begun, n: 3 }],
    });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('True RotationPending');
    world.dataPlane.kms = 'Up';
    await world.fresh().reconcile(KEY, NEVER);
    expect([world.condition('Ready'), world.status().key?.version]).toEqual(['True Ready', 3]);
  });
});

describe('a reference into another namespace', () => {
  const KMSC = { namespace: 'team-a', name: 'keysecure' };
  const OTHER = { namespace: 'team-b', name: 'invoices' };
  const ref = { kmsConnectionRef: KMSC };
  const allow = (world: BucketWorld, allowedNamespaces: object): void => {
    world.api.edit(KMS_CONNECTION, KMSC, { spec: { allowedNamespaces } });
  };
  const byTeam = { from: 'Selector', selector: { matchLabels: { team: 'b' } } };

  test('that is forbidden looks like one to nothing', async () => {
    const messages: (string | undefined)[] = [];
    for (const name of ['keysecure', 'nothing']) {
      const world = setUpBuckets();
      world.declare({ kmsConnectionRef: { ...KMSC, name } }, OTHER);
      await world.fresh().reconcile(OTHER, NEVER);
      expect(world.condition('Ready', OTHER)).toBe('False RefNotPermitted');
      expect(world.dataPlane.buckets.size).toBe(0);
      messages.push(world.message('Ready', OTHER));
    }
    expect(messages[0]).toBe(messages[1]);
  });

  test.each([[{ from: 'All' }], [byTeam]])('is served under %j', async (allowedNamespaces) => {
    const world = setUpBuckets();
    allow(world, allowedNamespaces);
    world.declare(ref, OTHER);
    await world.fresh().reconcile(OTHER, NEVER);
    expect(world.condition('Ready', OTHER)).toBe('True Ready');
  });

  test('that is withdrawn stops new key versions, by schedule and by request, and nothing else', async () => {
    const world = setUpBuckets();
    allow(world, byTeam);
    world.declare({ ...ref, keyRotation: { interval: '24h' }, access: ACCESS }, OTHER);
    await world.fresh().reconcile(OTHER, NEVER);
    world.api.edit(NAMESPACE, { namespace: '', name: 'team-b' }, { metadata: { labels: { team: null } } });
    world.annotate({ 'sealgate.io/rotate-key': 'now' }, OTHER);
    await world.fresh().reconcile(OTHER, NEVER);
    expect(world.condition('Ready', OTHER)).toBe('True RefWithdrawn');
    expect(world.dataPlane.buckets.get('invoices')).toMatchObject({ rotateEvery: null, keyVersion: 1 });
    expect(world.keyIds('team-b/invoices')).toHaveLength(1);
    allow(world, { from: 'All', selector: null });
    await world.fresh().reconcile(OTHER, NEVER);
    expect(world.condition('Ready', OTHER)).toBe('True Ready');
    expect(world.dataPlane.buckets.get('invoices')).toMatchObject({ rotateEvery: '24h', keyVersion: 2 });
  });

  test('to a connection that is being deleted takes no new bucket', async () => {
    const world = setUpBuckets();
    world.api.edit(KMS_CONNECTION, KMSC, { metadata: { finalizers: ['sealgate.io/finalizer'] } });
    world.api.remove(KMS_CONNECTION, KMSC);
    world.declare();
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('False RefNotPermitted');
  });

  test('to a connection that is not in force yet leaves the bucket with the one that it has', async () => {
    const world = await declared();
    const spec = world.api.peek(KMS_CONNECTION, KMSC)?.['spec'];
    world.api.edit(KMS_CONNECTION, { ...KMSC, name: 'next' }, { spec });
    world.declare({ kmsConnectionRef: { name: 'next' } });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('True ConnectionNotReady');
    expect(world.dataPlane.buckets.get('invoices')?.kmsConnection).toBe('team-a/keysecure');
  });
});

describe('a name that another owner has', () => {
  test('is taken over once with adopt; the other is told, loses its keys, and does not take it back', async () => {
    const world = await declared({ adopt: true, access: ACCESS });
    const other = { namespace: 'team-a', name: 'second' };
    world.declare({ bucketName: 'invoices', adopt: true }, other);
    await world.fresh().reconcile(other, NEVER);
    expect(world.condition('Ready', other)).toBe('True Ready');
    for (let round = 0; round < 3; round += 1) {
      await world.fresh().reconcile(KEY, NEVER);
      await world.fresh().reconcile(other, NEVER);
    }
    expect(world.dataPlane.buckets.get('invoices')?.owner).toBe('team-a/second');
    expect(world.condition('Ready')).toBe('False BucketTakenOver');
    expect(world.keyIds()).toEqual([]);
    expect(world.secret()).not.toBeNull();
  });

  test('is taken over while its access key is made: none is made, and the next look tells', async () => {
    const world = setUpBuckets();
    world.declare({ access: ACCESS });
    world.dataPlane.around = async (call, act) => {
      await Promise.resolve();
      if (call === 'putAccessKey') world.dataPlane.change('invoices', { owner: 'team-b/heir' });
      return act();
    };
    await expect(world.fresh().reconcile(KEY, NEVER)).rejects.toMatchObject({ code: 'Conflict' });
    expect(world.keyIds()).toEqual([]);
    expect(world.secret()).toBeNull();
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('False BucketNameTaken');
  });

  test('is not taken back by a change of the spec, only by a resource that is made anew', async () => {
    const world = await declared({ adopt: true, access: ACCESS });
    world.dataPlane.change('invoices', { owner: 'team-b/heir' });
    const reconciler = world.fresh();
    await reconciler.reconcile(KEY, NEVER);
    world.declare({ adopt: true, keyRotation: { interval: '24h' } });
    await reconciler.reconcile(KEY, NEVER);
    world.declare({ adopt: true, keyRotation: { interval: '48h' } });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.dataPlane.buckets.get('invoices')?.owner).toBe('team-b/heir');
    expect(world.condition('Ready')).toBe('False BucketTakenOver');
    world.api.remove(ENCRYPTED_BUCKET, KEY);
    await world.fresh().reconcile(KEY, NEVER);
    world.declare({ adopt: true });
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('True Ready');
    expect(world.dataPlane.buckets.get('invoices')?.owner).toBe(OWNER);
  });

  const withdraw = (world: BucketWorld): void =>
    world.api.remove(KMS_CONNECTION, { namespace: 'team-a', name: 'keysecure' });
  const loseConnection = (world: BucketWorld): void => {
    world.dataPlane.around = async (call, act) => {
      await Promise.resolve();
      if (call.startsWith('declareBucket')) throw refusal('NoSuchConnection');
      return act();
    };
  };

  test.each([
    ['is not permitted any more', withdraw, 'False RefNotPermitted'],
    ['names no connection in force', loseConnection, 'False ConnectionNotReady'],
  ])('ends the keys of the former owner, also when its reference %s', async (_what, change, expected) => {
    const world = await declared({ access: ACCESS });
    change(world);
    const reconciler = world.fresh();
    await reconciler.reconcile(KEY, NEVER);
    expect(world.keyIds()).toHaveLength(1);
    world.dataPlane.change('invoices', { owner: 'team-b/heir' });
    await reconciler.reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe(expected);
    expect(world.keyIds()).toEqual([]);
    await reconciler.reconcile(KEY, NEVER);
    expect(world.keyIds()).toEqual([]);
  });

  test.each([
    ['BucketNameTaken', setUpBuckets],
    ['BucketTakenOver', declared],
  ])('is told as %s without the name of the other', async (reason, setUp) => {
    const world = await setUp();
    world.declare();
    world.dataPlane.around = async (call, act) => {
      await Promise.resolve();
      if (call.startsWith('declareBucket'))
        throw refusal('BucketNameTaken', 'bucket invoices is declared by team-b/other');
      return act();
    };
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe(`False ${reason}`);
    expect(JSON.stringify([world.status(), world.notes])).not.toContain('team-b');
  });

  test('is refused without adopt', async () => {
    const world = setUpBuckets();
    world.dataPlane.addBucket('invoices', { owner: 'team-b/other' });
    world.declare();
    await world.fresh().reconcile(KEY, NEVER);
    expect(world.condition('Ready')).toBe('False BucketNameTaken');
  });
});

test('a resource that is gone is nothing to do', async () => {
  const world = setUpBuckets();
  expect(await world.fresh().reconcile(KEY, NEVER)).toEqual({});
});

test('a cache that is behind leads to a conflict, and to nothing wrong', async () => {
  const world = setUpBuckets();
  world.declare();
  const stale = world.buckets.get(KEY);
  await world.fresh().reconcile(KEY, NEVER);
  if (stale === undefined) throw new Error('nothing was declared');
  world.buckets.upsert(stale);
  await expect(world.fresh().reconcile(KEY, NEVER)).rejects.toMatchObject({ code: 'Conflict' });
  expect(world.condition('Ready')).toBe('True Ready');
});
