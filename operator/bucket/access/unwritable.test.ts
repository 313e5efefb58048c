import { describe, expect, test } from 'vitest';
import { ENCRYPTED_BUCKET, SECRET } from '../../kube/kinds.ts';
import { KubeError } from '../../kube/kubeApi.ts';
import { ACCESS, type BucketWorld, KEY, NEVER, SECRET_KEY, setUpBuckets } from '../bucket.testkit.ts';

const ROTATE = { 'rotate-access.sealgate.io/app': '1' };
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const THEIRS = {
  AWS_ACCESS_KEY_ID: base64('THEIRTHEIRTHEIRTHEIR'),
  AWS_SECRET_ACCESS_KEY: base64('s'.repeat(40)),
};
const IMPORT = { metadata: { labels: { 'sealgate.io/import': 'true' } } };

async function withAccess(): Promise<BucketWorld> {
  const world = setUpBuckets();
  world.declare({ access: ACCESS });
  await look(world);
  return world;
}

const look = async (world: BucketWorld) => await world.fresh().reconcile(KEY, NEVER);
const freeze = (world: BucketWorld) => world.api.edit(SECRET, SECRET_KEY, { immutable: true });
const idIn = (world: BucketWorld): string => world.secret()?.['AWS_ACCESS_KEY_ID'] ?? '';
const moveEndpoint = (world: BucketWorld): void => {
  if (world.endpoint !== null) world.endpoint = { ...world.endpoint, internalUrl: 'https://10.96.9.9' };
};

/** As a quota, an admission policy or a missing right: refused for as long as it lasts. */
function refuse(world: BucketWorld, calls: RegExp, code: 'Forbidden' | 'Invalid' = 'Forbidden'): () => void {
  const { around } = world.api;
  world.api.around = async (call, act) => {
    await Promise.resolve();
    if (calls.test(call))
      throw new KubeError(code, `${call}: ${code}`, { status: code === 'Invalid' ? 422 : 403 });
    return act();
  };
  return () => {
    world.api.around = around;
  };
}

describe('an immutable access Secret', () => {
  test('is in order while nothing of it has to change, with other permissions too', async () => {
    const world = await withAccess();
    freeze(world);
    world.declare({ access: [{ name: 'app', permissions: 'ReadOnly', secretName: 'invoices-s3' }] });
    await look(world);
    expect(world.condition('AccessReady')).toBe('True SecretsReady');
    expect(world.dataPlane.accessKeyStore.get(idIn(world))?.grants[0]?.permissions).toEqual(['read', 'list']);
  });

  test.each([
    ['another address', moveEndpoint],
    ['another key', (world: BucketWorld) => world.annotate(ROTATE)],
  ])('that should get %s is told without a write, and its key goes on working', async (_what, change) => {
    const world = await withAccess();
    const id = idIn(world);
    freeze(world);
    change(world);
    world.api.calls.length = 0;
    const { requeueAfterMs } = await look(world);
    expect(world.condition('AccessReady')).toBe('False SecretNotWritable');
    expect(world.condition('Ready')).toBe('False SecretNotWritable');
    expect(world.message('AccessReady')).toBe('Secret invoices-s3 is immutable and would have to be changed');
    expect(requeueAfterMs).toBe(30_000);
    expect(world.api.calls.filter((call) => / Secret /.test(call))).toEqual([
      'get Secret team-a/invoices-s3',
    ]);
    expect(world.keyIds()).toEqual([id]);
    // Its owner deletes it: then it is made anew.
    world.api.remove(SECRET, SECRET_KEY);
    await look(world);
    expect(world.condition('AccessReady')).toBe('True SecretsReady');
    expect(world.keyIds()).toEqual([idIn(world)]);
  });

  test('that has lost its credential leaves no key behind', async () => {
    const world = await withAccess();
    world.api.edit(SECRET, SECRET_KEY, { data: { AWS_SECRET_ACCESS_KEY: null }, immutable: true });
    await look(world);
    expect(world.condition('AccessReady')).toBe('False SecretNotWritable');
    expect(world.keyIds()).toEqual([]);
  });

  test('of the operator goes with its entry', async () => {
    const world = await withAccess();
    freeze(world);
    world.declare({ access: [] });
    await look(world);
    expect(world.api.peek(SECRET, SECRET_KEY)).toBeNull();
    expect(world.keyIds()).toEqual([]);
  });

  test('to import is told, and its credential works', async () => {
    const world = setUpBuckets();
    world.api.edit(SECRET, SECRET_KEY, { ...IMPORT, data: THEIRS, immutable: true });
    world.declare({ access: ACCESS });
    await look(world);
    expect(world.condition('AccessReady')).toBe('False SecretNotWritable');
    expect(world.keyIds()).toEqual(['THEIRTHEIRTHEIRTHEIR']);
  });

  test('that was imported is given back without its marks, and what was added stays', async () => {
    const world = setUpBuckets();
    world.api.edit(SECRET, SECRET_KEY, { ...IMPORT, data: THEIRS });
    world.declare({ access: ACCESS });
    await look(world);
    freeze(world);
    const content = world.secret();
    world.declare({ access: [] });
    await look(world);
    expect(world.condition('AccessReady')).toBe('True NoAccessDeclared');
    expect(world.secret()).toEqual(content);
    expect(world.api.peek(SECRET, SECRET_KEY)?.metadata.annotations).toEqual({});
    expect(world.keyIds()).toEqual([]);
  });
});

describe('an API server that refuses', () => {
  test.each(['Forbidden', 'Invalid'] as const)(
    'to make the Secret (%s) is told, and no key is left',
    async (code) => {
      const world = setUpBuckets();
      const permit = refuse(world, /^create Secret/, code);
      world.declare({ access: ACCESS });
      await look(world);
      expect(world.condition('AccessReady')).toBe('False SecretNotWritable');
      expect(world.message('AccessReady')).toBe(
        `The API server refuses to write Secret invoices-s3: create Secret team-a/invoices-s3: ${code}`,
      );
      expect(world.keyIds()).toEqual([]);
      permit();
      await look(world);
      expect(world.condition('AccessReady')).toBe('True SecretsReady');
      expect(world.keyIds()).toEqual([idIn(world)]);
    },
  );

  test('to change it leaves the key of the Secret working, and no other', async () => {
    const world = await withAccess();
    const id = idIn(world);
    const permit = refuse(world, /^patch Secret/);
    world.annotate(ROTATE);
    await look(world);
    expect(world.condition('AccessReady')).toBe('False SecretNotWritable');
    expect(world.keyIds()).toEqual([id]);
    expect(world.dataPlane.accessKeyStore.get(id)?.expiresAt).toBeNull();
    permit();
    await look(world);
    expect(world.condition('AccessReady')).toBe('True SecretsReady');
    expect(idIn(world)).not.toBe(id);
  });

  test('to take an import is told, and its credential works', async () => {
    const world = setUpBuckets();
    refuse(world, /^apply Secret/);
    world.api.edit(SECRET, SECRET_KEY, { ...IMPORT, data: THEIRS });
    world.declare({ access: ACCESS });
    await look(world);
    expect(world.condition('AccessReady')).toBe('False SecretNotWritable');
    expect(world.keyIds()).toEqual(['THEIRTHEIRTHEIRTHEIR']);
  });

  test('to delete the Secret of an entry that is gone is told, and its key is revoked', async () => {
    const world = await withAccess();
    refuse(world, /^delete Secret/);
    world.declare({ access: [] });
    await look(world);
    expect(world.condition('AccessReady')).toBe('False SecretNotWritable');
    expect(world.keyIds()).toEqual([]);
  });

  test('to delete the Secrets holds the deletion of the resource, unless by force', async () => {
    const world = await withAccess();
    refuse(world, /^delete Secret/);
    world.api.remove(ENCRYPTED_BUCKET, KEY);
    await look(world);
    expect(world.condition('DeletionBlocked')).toBe('True SecretNotWritable');
    world.annotate({ 'sealgate.io/force-delete': 'true' });
    await look(world);
    expect(world.api.peek(ENCRYPTED_BUCKET, KEY)).toBeNull();
    expect(world.keyIds()).toEqual([]);
  });

  test('our credentials is no fault of the Secret: it is tried again', async () => {
    const world = setUpBuckets();
    world.api.around = async (call, act) => {
      await Promise.resolve();
      if (call.startsWith('create Secret')) throw new KubeError('Unavailable', 'create', { status: 401 });
      return act();
    };
    world.declare({ access: ACCESS });
    await expect(look(world)).rejects.toMatchObject({ status: 401 });
  });
});
