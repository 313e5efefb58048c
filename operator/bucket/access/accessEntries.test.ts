import { describe, expect, test } from 'vitest';
import { SECRET } from '../../kube/kinds.ts';
import {
  ACCESS,
  type BucketWorld,
  KEY,
  NEVER,
  OWNER,
  SECRET_KEY,
  type Spec,
  setUpBuckets,
} from '../bucket.testkit.ts';

async function withAccess(access: readonly Spec[] = ACCESS): Promise<BucketWorld> {
  const world = setUpBuckets();
  world.declare({ access });
  await world.fresh().reconcile(KEY, NEVER);
  return world;
}

const again = async (world: BucketWorld): Promise<void> => {
  await world.fresh().reconcile(KEY, NEVER);
};

/** The credential of the Secret is the only key of the owner, but for `more`, and it works. */
function expectSound(world: BucketWorld, more: readonly string[] = []): string {
  const secret = world.secret();
  const id = secret?.['AWS_ACCESS_KEY_ID'] ?? '';
  expect(world.keyIds().toSorted()).toEqual([id, ...more].toSorted());
  expect(world.dataPlane.accessKeyStore.get(id)).toMatchObject({
    secret: secret?.['AWS_SECRET_ACCESS_KEY'],
    expiresAt: null,
  });
  return id;
}

test('an access Secret holds all that an application needs, and is marked as ours', async () => {
  const world = await withAccess();
  expect(world.secret()).toEqual({
    AWS_ACCESS_KEY_ID: expect.stringMatching(/^SG[A-Z2-7]{18}$/),
    AWS_SECRET_ACCESS_KEY: expect.stringMatching(/^[A-Za-z0-9_-]{40}$/),
    AWS_ENDPOINT_URL_S3: 'https://10.96.3.7',
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    BUCKET_NAME: 'invoices',
    BUCKET_HOST: '10.96.3.7',
    BUCKET_PORT: '443',
    BUCKET_REGION: 'us-east-1',
    'ca.crt': 'PEM of the authority',
  });
  const { metadata } = world.api.peek(SECRET, SECRET_KEY) ?? {};
  expect(metadata?.labels).toMatchObject({ 'sealgate.io/owned-by': 'sealgate' });
  expect(metadata?.annotations).toMatchObject({ 'sealgate.io/owner': OWNER });
  expect(JSON.stringify(metadata)).not.toContain(world.secret()?.['AWS_SECRET_ACCESS_KEY']);
  expectSound(world);
});

test.each([
  ['ReadOnly', ['list', 'read']],
  ['WriteOnly', ['write']],
  ['ReadWrite', ['delete', 'list', 'read', 'write']],
  ['Admin', ['admin', 'delete', 'list', 'read', 'write']],
])('%s allows %j in this bucket alone', async (permissions, expected) => {
  const world = await withAccess([{ name: 'app', permissions, secretName: 'invoices-s3' }]);
  const key = world.dataPlane.accessKeyStore.get(expectSound(world));
  expect(key?.grants).toHaveLength(1);
  expect(key?.grants[0]).toMatchObject({ bucket: 'invoices', prefix: '' });
  expect(key?.grants[0]?.permissions.toSorted()).toEqual(expected);
});

test('a change of permissions keeps the key', async () => {
  const world = await withAccess();
  const before = expectSound(world);
  world.declare({ access: [{ name: 'app', permissions: 'ReadOnly', secretName: 'invoices-s3' }] });
  await again(world);
  expect(expectSound(world)).toBe(before);
  expect(world.dataPlane.accessKeyStore.get(before)?.grants[0]?.permissions).toEqual(['read', 'list']);
});

describe('a Secret that was', () => {
  test('deleted is made anew with another key, and the old one is revoked', async () => {
    const world = await withAccess();
    const before = expectSound(world);
    world.api.remove(SECRET, SECRET_KEY);
    await again(world);
    expect(expectSound(world)).not.toBe(before);
  });

  test('robbed of its credential gets another, and the old one is revoked', async () => {
    const world = await withAccess();
    const before = expectSound(world);
    world.api.edit(SECRET, SECRET_KEY, { data: { AWS_SECRET_ACCESS_KEY: null } });
    await again(world);
    expect(expectSound(world)).not.toBe(before);
  });

  test('changed besides is repaired, and what is not ours is taken out', async () => {
    const world = await withAccess();
    const reconciler = world.fresh();
    await reconciler.reconcile(KEY, NEVER);
    world.api.edit(SECRET, SECRET_KEY, { data: { BUCKET_NAME: 'eA==', EXTRA: 'eA==' } });
    await reconciler.reconcile(KEY, NEVER);
    expect(world.secret()).toMatchObject({ BUCKET_NAME: 'invoices' });
    expect(world.secret()).not.toHaveProperty('EXTRA');
    expectSound(world);
  });

  test('given another address follows it, and loses the authority with TLS', async () => {
    const world = await withAccess();
    const before = expectSound(world);
    if (world.endpoint !== null)
      world.endpoint = { ...world.endpoint, internalUrl: 'http://10.96.3.7', caPem: null };
    await again(world);
    expect(world.secret()).toMatchObject({ AWS_ENDPOINT_URL_S3: 'http://10.96.3.7' });
    expect(world.secret()).not.toHaveProperty('ca.crt');
    expect(expectSound(world)).toBe(before);
  });

  test('copied under another name stays: it is not ours', async () => {
    const world = await withAccess();
    const copy = { namespace: 'team-a', name: 'copy' };
    const { labels, annotations } = world.api.peek(SECRET, SECRET_KEY)?.metadata ?? {};
    world.api.edit(SECRET, copy, { metadata: { labels, annotations }, data: {} });
    await again(world);
    expect(world.api.peek(SECRET, copy)).not.toBeNull();
  });
});

test('a key that the data plane lost is put back from the Secret', async () => {
  const world = await withAccess();
  const reconciler = world.fresh();
  await reconciler.reconcile(KEY, NEVER);
  const before = expectSound(world);
  world.dataPlane.accessKeyStore.clear();
  await reconciler.reconcile(KEY, NEVER);
  expect(expectSound(world)).toBe(before);
});

test('a key of the owner that no Secret names is revoked; those of others stay', async () => {
  const world = await withAccess();
  const key = {
    secretAccessKey: 'x'.repeat(40),
    grants: [{ bucket: 'invoices', permissions: ['read' as const] }],
  };
  await world.dataPlane.putAccessKey('ORPHANORPHANORPHAN', { owner: OWNER, ...key });
  await world.dataPlane.putAccessKey('FOREIGNFOREIGNFOREIGN', { owner: 'team-b/other', ...key });
  await again(world);
  expectSound(world);
  expect(world.keyIds('team-b/other')).toEqual(['FOREIGNFOREIGNFOREIGN']);
});

describe('an entry', () => {
  test('that goes takes its key and its Secret along, and leaves the others', async () => {
    const world = await withAccess([
      ...ACCESS,
      { name: 'reader', permissions: 'ReadOnly', secretName: 'reader' },
    ]);
    expect(world.keyIds()).toHaveLength(2);
    world.declare({ access: ACCESS });
    await again(world);
    expect(world.api.peek(SECRET, { namespace: 'team-a', name: 'reader' })).toBeNull();
    expectSound(world);
  });

  test('that is given another name keeps its key', async () => {
    const world = await withAccess();
    const before = expectSound(world);
    world.declare({ access: [{ name: 'web', permissions: 'ReadWrite', secretName: 'invoices-s3' }] });
    await again(world);
    expect(expectSound(world)).toBe(before);
  });

  test('waits for the address of the data plane', async () => {
    const world = setUpBuckets();
    world.endpoint = null;
    world.declare({ access: ACCESS });
    await again(world);
    expect(world.condition('AccessReady')).toBe('False EndpointUnknown');
    expect(world.keyIds()).toEqual([]);
  });
});

describe('a rotation of access', () => {
  const ROTATE = 'rotate-access.sealgate.io/app';

  test('gives a new key once for each value, and lets the old one work for the overlap', async () => {
    const world = await withAccess();
    const old = expectSound(world);
    world.annotate({ [ROTATE]: '1' });
    await again(world);
    const current = world.secret()?.['AWS_ACCESS_KEY_ID'] ?? '';
    expect(current).not.toBe(old);
    const expires = world.dataPlane.accessKeyStore.get(old)?.expiresAt ?? '';
    expect(Date.parse(expires)).toBe(world.clock.wallMs() + 168 * 3_600_000);
    await again(world);
    expect(world.secret()?.['AWS_ACCESS_KEY_ID']).toBe(current);
    expect(world.told.filter((event) => event === 'Normal AccessRotated')).toHaveLength(1);
    await world.clock.advance(168 * 3_600_000);
    await again(world);
    expect(expectSound(world)).toBe(current);
  });

  test('twice within the overlap leaves all three keys working', async () => {
    const world = await withAccess();
    const first = expectSound(world);
    world.annotate({ [ROTATE]: '1' });
    await again(world);
    const second = world.secret()?.['AWS_ACCESS_KEY_ID'] ?? '';
    world.annotate({ [ROTATE]: '2' });
    await again(world);
    expect(world.keyIds()).toHaveLength(3);
    expect(world.keyIds()).toEqual(expect.arrayContaining([first, second]));
  });

  test('without overlap ends the old key at once', async () => {
    const world = await withAccess([
      { name: 'app', permissions: 'Admin', secretName: 'invoices-s3', overlap: '0s' },
    ]);
    const old = expectSound(world);
    world.annotate({ [ROTATE]: '1' });
    await again(world);
    expect(expectSound(world)).not.toBe(old);
  });

  test('that stood there before the Secret is no request', async () => {
    const world = setUpBuckets();
    world.declare({ access: ACCESS });
    world.annotate({ [ROTATE]: '1' });
    await again(world);
    const first = expectSound(world);
    await again(world);
    expect(expectSound(world)).toBe(first);
  });

  test('of another entry leaves this one alone', async () => {
    const world = await withAccess();
    const before = expectSound(world);
    world.annotate({ 'rotate-access.sealgate.io/other': '1' });
    await again(world);
    expect(expectSound(world)).toBe(before);
  });
});

describe('a Secret that somebody else made', () => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const THEIRS = {
    AWS_ACCESS_KEY_ID: base64('THEIRTHEIRTHEIRTHEIR'),
    AWS_SECRET_ACCESS_KEY: base64('s'.repeat(40)),
    AWS_REGION: base64('eu-central-1'),
  };
  const IMPORT = { metadata: { labels: { 'sealgate.io/import': 'true' } } };

  async function found(secret: Spec): Promise<BucketWorld> {
    const world = setUpBuckets();
    world.api.edit(SECRET, SECRET_KEY, secret);
    world.declare({ access: ACCESS });
    await again(world);
    return world;
  }

  test.each([
    ['without a label', { data: THEIRS }],
    ['of another installation', { metadata: { labels: { 'sealgate.io/owned-by': 'other' } }, data: THEIRS }],
    [
      'for another resource',
      {
        metadata: {
          labels: { 'sealgate.io/owned-by': 'sealgate' },
          annotations: { 'sealgate.io/owner': 'team-a/other' },
        },
        data: THEIRS,
      },
    ],
  ])('%s is left as it is, and told', async (_what, secret) => {
    const world = await found(secret);
    expect(world.condition('AccessReady')).toBe('False SecretNotOwned');
    expect(world.condition('Ready')).toBe('False SecretNotOwned');
    expect(Object.keys(world.secret() ?? {})).toEqual(Object.keys(THEIRS));
    expect(world.keyIds()).toEqual([]);
  });

  test('with the import label gives its credential; what is missing is added, nothing is overwritten', async () => {
    const world = await found({ ...IMPORT, data: THEIRS });
    expect(world.condition('AccessReady')).toBe('True SecretsReady');
    expect(world.secret()).toMatchObject({
      AWS_ACCESS_KEY_ID: 'THEIRTHEIRTHEIRTHEIR',
      AWS_REGION: 'eu-central-1',
      AWS_DEFAULT_REGION: 'us-east-1',
      BUCKET_NAME: 'invoices',
    });
    expectSound(world);
    world.api.calls.length = 0;
    await again(world);
    expect(world.api.calls).toEqual([`get Secret ${OWNER}-s3`]);
  });

  test('and imported is given back when its entry goes, and its key is revoked', async () => {
    const world = await found({ ...IMPORT, data: THEIRS });
    world.declare({ access: [] });
    await again(world);
    expect(Object.keys(world.secret() ?? {}).toSorted()).toEqual(Object.keys(THEIRS).toSorted());
    expect(world.keyIds()).toEqual([]);
    expect(world.api.peek(SECRET, SECRET_KEY)?.metadata.annotations).toEqual({});
  });

  test.each([
    ['no credential', {}],
    ['a key id that is too short', { ...THEIRS, AWS_ACCESS_KEY_ID: base64('SHORT') }],
  ])('with the import label and %s is told as invalid', async (_what, data) => {
    const world = await found({ ...IMPORT, data });
    expect(world.condition('AccessReady')).toBe('False ImportInvalid');
  });

  test("with another owner's key id is refused", async () => {
    const world = setUpBuckets();
    const grants = [{ bucket: 'other', permissions: ['read' as const] }];
    const key = { owner: 'team-b/other', secretAccessKey: 'o'.repeat(40), grants };
    await world.dataPlane.putAccessKey('THEIRTHEIRTHEIRTHEIR', key);
    world.api.edit(SECRET, SECRET_KEY, { ...IMPORT, data: THEIRS });
    world.declare({ access: ACCESS });
    await again(world);
    expect(world.condition('AccessReady')).toBe('False AccessKeyTaken');
    expect(world.dataPlane.accessKeyStore.get('THEIRTHEIRTHEIRTHEIR')?.owner).toBe('team-b/other');
  });

  test('in the same moment as ours wins, and no key is left behind', async () => {
    const world = setUpBuckets();
    world.declare({ access: ACCESS });
    world.api.around = async (call, act) => {
      await Promise.resolve();
      if (call.startsWith('create')) world.api.edit(SECRET, SECRET_KEY, { data: THEIRS });
      return act();
    };
    await expect(again(world)).rejects.toMatchObject({ code: 'AlreadyExists' });
    expect(world.keyIds()).toEqual([]);
  });
});

test('no condition, event or log line holds a secret', async () => {
  const world = await withAccess();
  const secret = world.secret()?.['AWS_SECRET_ACCESS_KEY'] ?? '';
  expect(secret).toHaveLength(40);
  expect(JSON.stringify([world.status(), world.notes])).not.toContain(secret);
});
