import { describe, expect, test } from 'vitest';
import { AdminApiError } from '../admin/adminApi.ts';
import { refusal } from '../admin/fakeDataPlane.testkit.ts';
import { ENCRYPTED_BUCKET, SECRET } from '../kube/kinds.ts';
import {
  ACCESS,
  type BucketWorld,
  KEY,
  NAMESPACE,
  NEVER,
  SECRET_KEY,
  setUpBuckets,
} from './bucket.testkit.ts';

async function deleted(deletionPolicy: string, objects: number): Promise<BucketWorld> {
  const world = setUpBuckets();
  world.declare({ deletionPolicy, access: ACCESS });
  await world.fresh().reconcile(KEY, NEVER);
  world.dataPlane.change('invoices', { usage: { objects, bytes: objects } });
  world.api.remove(ENCRYPTED_BUCKET, KEY);
  await world.fresh().reconcile(KEY, NEVER);
  return world;
}

const isGone = (world: BucketWorld): boolean => world.api.peek(ENCRYPTED_BUCKET, KEY) === null;
const again = async (world: BucketWorld): Promise<void> => {
  await world.fresh().reconcile(KEY, NEVER);
};

const CONDITIONS = ['Ready', 'BucketReady', 'AccessReady', 'DeletionBlocked'];

const generation = (world: BucketWorld): number =>
  world.api.peek(ENCRYPTED_BUCKET, KEY)?.metadata.generation ?? Number.NaN;

function endNamespace(world: BucketWorld): void {
  // As long as something is in it.
  const metadata = { deletionTimestamp: '2030-01-01T00:00:00Z', finalizers: ['kubernetes'] };
  world.api.edit(NAMESPACE, { namespace: '', name: 'team-a' }, { metadata });
}

function expectNoAccess(world: BucketWorld): void {
  expect(world.keyIds()).toEqual([]);
  expect(world.api.peek(SECRET, SECRET_KEY)).toBeNull();
}

describe('deleting the resource', () => {
  test('with Retain keeps the bucket with its owner, and takes the access away', async () => {
    const world = await deleted('Retain', 3);
    expect(isGone(world)).toBe(true);
    expect(world.dataPlane.buckets.get('invoices')?.owner).toBe('team-a/invoices');
    expectNoAccess(world);
  });

  test('with DeleteIfEmpty deletes an empty bucket', async () => {
    const world = await deleted('DeleteIfEmpty', 0);
    expect(isGone(world)).toBe(true);
    expect(world.dataPlane.buckets.size).toBe(0);
    expectNoAccess(world);
  });

  test('with DeleteIfEmpty waits while there are objects, and access works until then', async () => {
    const world = await deleted('DeleteIfEmpty', 1);
    expect(world.condition('DeletionBlocked')).toBe('True BucketNotEmpty');
    expect(world.keyIds()).toHaveLength(1);
    expect(world.told).toContain('Warning BucketNotEmpty');
    world.dataPlane.change('invoices', { usage: { objects: 0, bytes: 0 } });
    await again(world);
    expect(isGone(world)).toBe(true);
    expectNoAccess(world);
  });

  test('with Purge waits for the name of the bucket as confirmation, then until everything is gone', async () => {
    const world = await deleted('Purge', 5);
    expect(world.condition('DeletionBlocked')).toBe('True ConfirmationRequired');
    world.annotate({ 'sealgate.io/confirm-destroy': 'another' });
    await again(world);
    expect(world.condition('DeletionBlocked')).toBe('True ConfirmationRequired');
    expect(world.dataPlane.buckets.get('invoices')?.state).toBe('Ready');
    world.annotate({ 'sealgate.io/confirm-destroy': 'invoices' });
    await again(world);
    expect(world.condition('DeletionBlocked')).toBe('True Purging');
    expect(CONDITIONS.map((type) => world.condition(type))).toEqual([
      'False BeingPurged',
      'False BeingPurged',
      'False BucketNotReady',
      'True Purging',
    ]);
    expect(world.told).toContain('Normal BeingPurged');
    // The name is free as soon as the purge ends, whoever takes it next.
    expect(world.keyIds()).toEqual([]);
    await again(world);
    expect(isGone(world)).toBe(true);
    expect(world.dataPlane.buckets.size).toBe(0);
    expectNoAccess(world);
  });

  test.each([
    ['DeleteIfEmpty', 'BucketNotEmpty'],
    ['Purge', 'ConfirmationRequired'],
  ])('with %s obeys a change of the access while it waits (%s)', async (policy, reason) => {
    const world = await deleted(policy, 1);
    expect(world.keyIds()).toHaveLength(1);
    world.declare({ access: [] });
    await again(world);
    expectNoAccess(world);
    expect(CONDITIONS.map((type) => world.condition(type))).toEqual([
      'True Ready',
      'True Declared',
      'True NoAccessDeclared',
      `True ${reason}`,
    ]);
    expect(world.status().observedGeneration).toBe(generation(world));
    world.api.calls.length = 0;
    await again(world);
    expect(world.api.calls).toEqual(['get EncryptedBucket team-a/invoices']);
  });

  test('does not claim to have acted on a change that it could not look at', async () => {
    const world = await deleted('DeleteIfEmpty', 1);
    const before = world.status().observedGeneration;
    world.dataPlane.reachable = false;
    world.declare({ access: [] });
    await again(world);
    expect(world.condition('DeletionBlocked')).toBe('True DataPlaneUnreachable');
    expect(world.status().observedGeneration).toBe(before);
    expect(before).toBeLessThan(generation(world));
  });

  test('makes nothing of a changed access in a namespace that ends', async () => {
    const world = await deleted('DeleteIfEmpty', 1);
    endNamespace(world);
    world.declare({ access: [{ name: 'late', permissions: 'ReadOnly', secretName: 'late' }] });
    const before = world.status().observedGeneration;
    world.api.calls.length = 0;
    await again(world);
    expect(world.api.calls.filter((call) => call.includes('Secret'))).toEqual([]);
    expect(world.condition('DeletionBlocked')).toBe('True BucketNotEmpty');
    expect(world.status().observedGeneration).toBe(before);
  });

  test('with Purge asks nobody to confirm when the bucket is another owner’s by now', async () => {
    const world = await deleted('Purge', 5);
    world.dataPlane.change('invoices', { owner: 'team-b/heir' });
    await again(world);
    expect(isGone(world)).toBe(true);
    expect(world.dataPlane.buckets.get('invoices')).toMatchObject({ state: 'Ready', usage: { objects: 5 } });
    expectNoAccess(world);
  });

  test('with Purge asks for the confirmation although the data plane is away', async () => {
    const world = await deleted('Purge', 5);
    world.dataPlane.reachable = false;
    await again(world);
    expect(world.condition('DeletionBlocked')).toBe('True ConfirmationRequired');
  });

  test.each(['Retain', 'DeleteIfEmpty'])('with %s waits for the data plane', async (policy) => {
    const world = setUpBuckets();
    world.declare({ deletionPolicy: policy, access: ACCESS });
    await again(world);
    world.dataPlane.reachable = false;
    world.api.remove(ENCRYPTED_BUCKET, KEY);
    await again(world);
    expect(world.condition('DeletionBlocked')).toBe('True DataPlaneUnreachable');
    expect(world.secret()).not.toBeNull();
    world.dataPlane.reachable = true;
    await again(world);
    expect(isGone(world)).toBe(true);
  });

  test.each([true, false])(
    'by force keeps the data and goes at once (data plane there: %s)',
    async (there) => {
      const world = await deleted('Purge', 5);
      world.dataPlane.reachable = there;
      world.annotate({ 'sealgate.io/force-delete': 'true' });
      await again(world);
      expect(isGone(world)).toBe(true);
      expect(world.dataPlane.buckets.get('invoices')).toMatchObject({
        state: 'Ready',
        usage: { objects: 5 },
      });
      expect(world.api.peek(SECRET, SECRET_KEY)).toBeNull();
      expect(world.keyIds()).toHaveLength(there ? 0 : 1);
    },
  );

  test('asks nothing of the Secrets of a namespace that ends: the rights on them may be gone', async () => {
    const world = setUpBuckets();
    world.declare({ deletionPolicy: 'Retain', access: ACCESS });
    await again(world);
    endNamespace(world);
    world.api.remove(ENCRYPTED_BUCKET, KEY);
    world.api.calls.length = 0;
    await again(world);
    expect(isGone(world)).toBe(true);
    expect(world.keyIds()).toEqual([]);
    expect(world.api.calls.filter((call) => call.includes('Secret'))).toEqual([]);
  });

  test('by force, in a namespace that ends, leaves no key when the operator is stopped amid it', async () => {
    const world = await deleted('Purge', 5);
    world.annotate({ 'sealgate.io/force-delete': 'true' });
    endNamespace(world);
    const stop = new AbortController();
    world.dataPlane.around = async (call, act) => {
      await Promise.resolve();
      if (call !== 'deleteAccessKey') return act();
      stop.abort(new Error('SIGTERM'));
      throw new AdminApiError('Unreachable', 0, 'aborted');
    };
    await expect(world.fresh().reconcile(KEY, stop.signal)).rejects.toThrow('SIGTERM');
    expect(isGone(world)).toBe(false);
    world.dataPlane.around = async (_call, act) => await Promise.resolve().then(act);
    await again(world);
    expect(isGone(world)).toBe(true);
    expect(world.keyIds()).toEqual([]);
  });

  test('deletes nothing of a bucket that is another owner’s by now', async () => {
    const world = setUpBuckets();
    world.declare({ deletionPolicy: 'DeleteIfEmpty' });
    await again(world);
    world.dataPlane.change('invoices', { owner: 'team-b/other' });
    world.api.remove(ENCRYPTED_BUCKET, KEY);
    await again(world);
    expect(isGone(world)).toBe(true);
    expect(world.dataPlane.buckets.has('invoices')).toBe(true);
  });

  test.each(['DeleteIfEmpty', 'Purge'])(
    'with %s waits while the record of the bucket is damaged, and says why',
    async (deletionPolicy) => {
      const world = setUpBuckets();
      world.declare({ deletionPolicy, access: ACCESS });
      await again(world);
      world.dataPlane.around = async (call, act) => {
        await Promise.resolve();
        if (call.startsWith('deleteBucket')) throw refusal('Damaged', 'the record is damaged');
        return act();
      };
      world.annotate({ 'sealgate.io/confirm-destroy': 'invoices' });
      world.api.remove(ENCRYPTED_BUCKET, KEY);
      await again(world);
      expect(world.condition('DeletionBlocked')).toBe('True DeletionRefused');
      expect(world.message('DeletionBlocked')).toContain('the record is damaged');
    },
  );

  test('says nothing about a resource that never got its finalizer', async () => {
    const world = setUpBuckets();
    world.declare();
    world.api.edit(ENCRYPTED_BUCKET, KEY, {
      metadata: { finalizers: ['another/one'], deletionTimestamp: '2030-01-01T00:00:00Z' },
    });
    await again(world);
    expect(world.dataPlane.calls).toEqual([]);
  });
});

test('a resource that was let go, and that the cache still shows, is not looked at again', async () => {
  const world = setUpBuckets();
  world.declare({ deletionPolicy: 'DeleteIfEmpty', access: ACCESS });
  const reconciler = world.fresh();
  await reconciler.reconcile(KEY, NEVER);
  world.api.remove(ENCRYPTED_BUCKET, KEY);
  const going = world.buckets.get(KEY);
  await reconciler.reconcile(KEY, NEVER);
  expect(isGone(world)).toBe(true);
  if (going === undefined) throw new Error('it went without its finalizer');
  world.buckets.upsert(going);
  world.dataPlane.calls.length = 0;
  await reconciler.reconcile(KEY, NEVER);
  expect(world.dataPlane.calls).toEqual([]);
});

describe('a cache that is behind the API server, as after a watch that stood still', () => {
  const CONFIRMED = { 'sealgate.io/confirm-destroy': 'invoices' };

  /** A full bucket, and its resource as the cache still shows it: about to be purged. */
  async function purging(): Promise<BucketWorld> {
    const world = setUpBuckets();
    world.declare({ deletionPolicy: 'Purge', access: ACCESS });
    await again(world);
    world.dataPlane.change('invoices', { usage: { objects: 5, bytes: 5 } });
    world.annotate(CONFIRMED);
    world.api.remove(ENCRYPTED_BUCKET, KEY);
    return world;
  }

  async function behind(world: BucketWorld, change: () => void): Promise<void> {
    const shown = world.buckets.get(KEY);
    if (shown === undefined) throw new Error('it went without its finalizer');
    change();
    world.buckets.upsert(shown);
    world.dataPlane.calls.length = 0;
    await again(world);
  }

  const withoutFinalizer = (world: BucketWorld): void => {
    world.api.edit(ENCRYPTED_BUCKET, KEY, { metadata: { finalizers: [] } });
  };

  test.each([
    ['is gone', withoutFinalizer],
    [
      'was made again',
      (world: BucketWorld): void => {
        withoutFinalizer(world);
        world.declare({ deletionPolicy: 'Purge', access: ACCESS });
      },
    ],
  ])('takes nothing from a resource that %s', async (_what, change) => {
    const world = await purging();
    await behind(world, () => change(world));
    expect(world.dataPlane.calls).toEqual([]);
    expect(world.dataPlane.buckets.get('invoices')?.state).toBe('Ready');
    expect(world.keyIds()).toHaveLength(1);
  });

  test('obeys the policy that was written last', async () => {
    const world = await purging();
    await behind(world, () => world.declare({ deletionPolicy: 'Retain', access: ACCESS }));
    expect(isGone(world)).toBe(true);
    expect(world.dataPlane.buckets.get('invoices')).toMatchObject({
      state: 'Ready',
      usage: { objects: 5 },
    });
  });
});
