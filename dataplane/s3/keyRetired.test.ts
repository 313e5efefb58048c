/** Requests that are slower than a whole rotation: they seal again under the bucket's newest key, and succeed. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ACCESS_KEY, hmacHex, NOW_MS, SCOPE, signingKey, TIMESTAMP } from '../auth/signer.testkit.ts';
import { type Metadata, MetadataError } from '../metadata/metadata.ts';
import { createEncryptedBucket, rotate, rotateAndRetire, TestKeys } from './rotation.testkit.ts';
import {
  HOST,
  head,
  openTestStore,
  startTestServer,
  type TestServer,
  type TestStore,
  Wire,
  withMetadata,
} from './server.testkit.ts';

/** Larger than what is kept in the metadata. */
const BODY = 'x'.repeat(300_000);
const ETAG = createHash('md5').update(BODY).digest('hex');

const keys = new TestKeys();
let store: TestStore;
let server: TestServer;
let bucket = '';
let buckets = 0;

beforeAll(async () => {
  store = await openTestStore();
});
afterAll(() => store[Symbol.asyncDispose]());
beforeEach(async () => {
  buckets += 1;
  bucket = `sealed-${buckets}`;
  await createEncryptedBucket(store.engine.metadata, keys, bucket);
});
afterEach(() => server[Symbol.asyncDispose]());

async function serve(change: (metadata: Metadata) => Partial<Metadata> = () => ({})): Promise<void> {
  server = await startTestServer(store, {}, (services) =>
    withMetadata(change)({ ...services, keys: keys.provider(services.keys) }),
  );
}

interface Request {
  readonly headers?: readonly (readonly [string, string])[];
  readonly query?: string;
  readonly body?: string;
}

async function ask(
  method: string,
  key: string,
  { headers = [], query = '', body = '' }: Request = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const wire = new Wire(server.port);
  const all = [...headers, ['content-length', String(body.length)], ['connection', 'close']] as const;
  wire.send(head(method, `/${bucket}/${key}`, all, query) + body);
  const text = await wire.end();
  return { status: Number(text.slice(9, 12)), text };
}

async function createUpload(): Promise<string> {
  const { text } = await ask('POST', 'upload', { query: 'uploads=' });
  return /<UploadId>(.*?)<\/UploadId>/.exec(text)?.[1] ?? '';
}

const putPart = (uploadId: string) =>
  ask('PUT', 'upload', { query: `partNumber=1&uploadId=${uploadId}`, body: BODY });

const complete = (uploadId: string) => {
  const part = `<Part><PartNumber>1</PartNumber><ETag>${ETAG}</ETag></Part>`;
  const body = `<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`;
  return ask('POST', 'upload', { query: `uploadId=${uploadId}`, body });
};

async function post(key: string): Promise<{ readonly status: number; readonly text: string }> {
  const credential = `${ACCESS_KEY}/${SCOPE}`;
  const standing = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': credential,
    'x-amz-date': TIMESTAMP,
  };
  const expiration = new Date(NOW_MS + 60_000).toISOString();
  const conditions = [
    { bucket },
    { key },
    ...Object.entries(standing).map(([name, value]) => ({ [name]: value })),
  ];
  const policy = Buffer.from(JSON.stringify({ expiration, conditions })).toString('base64');
  const fields = { key, ...standing, policy, 'x-amz-signature': hmacHex(signingKey(), policy) };
  const boundary = 'b0undary';
  const parts = Object.entries({ ...fields, file: BODY }).map(
    ([name, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
  );
  const body = `${parts.join('')}--${boundary}--\r\n`;
  const wire = new Wire(server.port);
  // Signed by its policy, not by its head.
  const type = `content-type: multipart/form-data; boundary=${boundary}`;
  const lines = [
    `POST /${bucket}/ HTTP/1.1`,
    `host: ${HOST}`,
    type,
    `content-length: ${body.length}`,
    'connection: close',
  ];
  wire.send(`${lines.join('\r\n')}\r\n\r\n${body}`);
  const text = await wire.end();
  return { status: Number(text.slice(9, 12)), text };
}

/** Metadata in which, just before the first commit of that kind, a whole rotation takes place. */
function overtaken(
  operation: 'commitVersion' | 'completeUpload' | 'createUpload',
): (metadata: Metadata) => Partial<Metadata> {
  let first = true;
  return (metadata) => {
    const before = async (): Promise<void> => {
      if (!first) return;
      first = false;
      await rotateAndRetire(metadata, keys, bucket);
    };
    const run: Pick<Metadata, 'commitVersion' | 'completeUpload' | 'createUpload'> = {
      commitVersion: async (...commit) => {
        await before();
        await metadata.commitVersion(...commit);
      },
      completeUpload: async (...commit) => {
        await before();
        await metadata.completeUpload(...commit);
      },
      createUpload: async (...commit) => {
        await before();
        await metadata.createUpload(...commit);
      },
    };
    return { [operation]: run[operation] };
  };
}

/** Under which key versions the bucket's objects and uploads are sealed. */
async function usedVersions(): Promise<readonly number[]> {
  const { metadata } = store.engine;
  const uses = await metadata.keyUses((await metadata.bucket(bucket))?.bucketUid ?? '');
  return [...uses].filter(([, { versions, uploads }]) => versions + uploads > 0).map(([n]) => n);
}

async function expectObject(key: string): Promise<void> {
  const { status, text } = await ask('GET', key);
  expect(status).toBe(200);
  expect(text.split('\r\n\r\n').slice(1).join('\r\n\r\n')).toBe(BODY);
  expect(text).toContain('x-amz-server-side-encryption: AES256');
  expect((await ask('GET', '')).text).toContain(`<Key>${key}</Key>`);
}

describe('a writer whose key version retires before it commits seals again and succeeds', () => {
  it.each([
    ['PutObject', () => ask('PUT', 'made', { body: BODY })],
    ['PutObject of a small body', () => ask('PUT', 'made', { body: BODY.slice(0, 100) })],
    ['POST object', () => post('made')],
    [
      'CopyObject by reference',
      () => ask('PUT', 'made', { headers: [['x-amz-copy-source', `${bucket}/source`]] }),
    ],
    [
      'CopyObject that reads every byte',
      () =>
        ask('PUT', 'made', {
          headers: [
            ['x-amz-copy-source', `${bucket}/source`],
            ['x-amz-checksum-algorithm', 'SHA256'],
          ],
        }),
    ],
  ])('%s', async (name, request) => {
    await serve();
    expect(await ask('PUT', 'source', { body: BODY })).toMatchObject({ status: 200 });
    await server[Symbol.asyncDispose]();
    await serve(overtaken('commitVersion'));
    const { status } = await request();
    expect([200, 204]).toContain(status);
    expect(await usedVersions()).toEqual([2]);
    if (!name.includes('small')) await expectObject('made');
    await expectObject('source');
  });

  it('CompleteMultipartUpload', async () => {
    await serve(overtaken('completeUpload'));
    const uploadId = await createUpload();
    expect(await putPart(uploadId)).toMatchObject({ status: 200 });
    expect(await complete(uploadId)).toMatchObject({ status: 200 });
    expect(await usedVersions()).toEqual([2]);
    await expectObject('upload');
  });

  it('CreateMultipartUpload', async () => {
    await serve(overtaken('createUpload'));
    const uploadId = await createUpload();
    expect(await usedVersions()).toEqual([2]);
    expect(await putPart(uploadId)).toMatchObject({ status: 200 });
    expect(await complete(uploadId)).toMatchObject({ status: 200 });
    await expectObject('upload');
  });

  it('a PutObject whose client pauses in the middle of the body', async () => {
    await serve();
    const wire = new Wire(server.port);
    const headers = [
      ['content-length', String(BODY.length)],
      ['expect', '100-continue'],
      ['connection', 'close'],
    ] as const;
    wire.send(head('PUT', `/${bucket}/slow`, headers));
    await wire.until('100 Continue');
    wire.send(BODY.slice(0, 100_000));
    keys.revoke(await rotateAndRetire(store.engine.metadata, keys, bucket));
    wire.send(BODY.slice(100_000));
    expect(await wire.end()).toContain('HTTP/1.1 200 OK');
    expect(await usedVersions()).toEqual([2]);
    await expectObject('slow');
  });
});

it('a writer that is overtaken by a rotation commits under the replaced version, which is still readable', async () => {
  let first = true;
  await serve((metadata) => ({
    commitVersion: async (...commit) => {
      if (first) await rotate(metadata, keys, bucket);
      first = false;
      await metadata.commitVersion(...commit);
    },
  }));
  expect(await ask('PUT', 'made', { body: BODY })).toMatchObject({ status: 200 });
  expect(await usedVersions()).toEqual([1]);
  await expectObject('made');
});

describe('a key that was revoked between the reading of a row and the asking for the key', () => {
  it('is not used for a new object: the bucket is read again', async () => {
    await serve((metadata) => ({
      keyVersion: async (bucketUid, n) => {
        const row = await metadata.keyVersion(bucketUid, n);
        if (n === 1 && (await metadata.bucket(bucket))?.keyVersion === 1)
          keys.revoke(await rotateAndRetire(metadata, keys, bucket));
        return row;
      },
    }));
    expect(await ask('PUT', 'made', { body: BODY })).toMatchObject({ status: 200 });
    expect(await usedVersions()).toEqual([2]);
    await expectObject('made');
  });

  it('is not used for a part: the upload is read again', async () => {
    let armed = false;
    await serve((metadata) => ({
      upload: async (...asked) => {
        const row = await metadata.upload(...asked);
        if (armed) keys.revoke(await rotateAndRetire(metadata, keys, bucket));
        armed = false;
        return row;
      },
    }));
    const uploadId = await createUpload();
    armed = true;
    expect(await putPart(uploadId)).toMatchObject({ status: 200 });
    expect(await complete(uploadId)).toMatchObject({ status: 200 });
    await expectObject('upload');
  });

  it('is an error when it is still the one to use', async () => {
    await serve();
    const { metadata } = store.engine;
    const { bucketUid = '' } = (await metadata.bucket(bucket)) ?? {};
    const uploadId = await createUpload();
    keys.revoke((await metadata.keyVersion(bucketUid, 1))?.kmsId ?? '');
    const refused = { status: 400, text: expect.stringContaining('<Code>KMS.InvalidState</Code>') };
    expect(await ask('PUT', 'made', { body: BODY })).toMatchObject(refused);
    expect(await putPart(uploadId)).toMatchObject(refused);
  });
});

it.each([
  [7, 200, 8],
  [100, 409, 8],
])(
  'a key version that retires %i times: %i after %i attempts, and no file is left',
  async (times, status, attempts) => {
    let calls = 0;
    await serve((metadata) => ({
      commitVersion: async (...commit) => {
        calls += 1;
        if (calls <= times) throw new MetadataError('KeyRetired', 'retired');
        await metadata.commitVersion(...commit);
      },
    }));
    const before = store.contents().blobFiles.length;
    expect(await ask('PUT', 'made', { body: BODY })).toMatchObject({ status });
    expect(calls).toBe(attempts);
    expect(store.contents().blobFiles).toHaveLength(before + (status === 200 ? 1 : 0));
  },
);

it('a bucket that is deleted and made again while the key retires is NoSuchBucket', async () => {
  await serve((metadata) => ({
    commitVersion: async () => {
      const { bucketUid = '' } = (await metadata.bucket(bucket)) ?? {};
      await metadata.deleteBucket(bucket, bucketUid);
      await createEncryptedBucket(metadata, keys, bucket);
      throw new MetadataError('KeyRetired', 'retired');
    },
  }));
  const before = store.contents().blobFiles.length;
  const answer = await ask('PUT', 'made', { body: BODY });
  expect(answer).toMatchObject({ status: 404, text: expect.stringContaining('<Code>NoSuchBucket</Code>') });
  expect(store.contents().blobFiles).toHaveLength(before);
});
