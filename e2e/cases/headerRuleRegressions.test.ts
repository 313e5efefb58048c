import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RawAnswer, RawRequest } from '../harness/signedRequest.ts';
import { send, sign } from '../harness/signedRequest.ts';
import { answerBeforeBody, watchBlobs } from './headerRules/bodies.ts';
import { CARRIERS, type Plan } from './headerRules/carriers.ts';
import {
  completionOf,
  ENCRYPTION_RULE,
  makeWorld,
  md5Hex,
  type OpenUpload,
  type World,
} from './headerRules/world.ts';

const SSE = 'x-amz-server-side-encryption';
const SCAL_SSE = 'x-amz-scal-server-side-encryption';
const AES256 = [[SSE, 'AES256']] as const;
const CUSTOMER_KEY = [[`${SSE}-customer-key`, 'a-customer-key-that-nobody-may-see']] as const;
const MIB = 1024 * 1024;

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world?.close());

const request = (sent: RawRequest): Promise<RawAnswer> => send(world.deployment.server, sent);
const encryptionOf = async (path: string): Promise<string | undefined> =>
  (await world.done({ method: 'HEAD', path })).headers[SSE];
const scalEncryptionOf = async (bucket: string): Promise<string | undefined> =>
  (await world.done({ method: 'HEAD', path: `/${bucket}` })).headers[SCAL_SSE];

async function expectRefused(sent: RawRequest, argument: string): Promise<RawAnswer> {
  const answer = await request(sent);
  const text = answer.body.toString('utf8');
  expect([answer.status, answer.code]).toEqual([400, 'InvalidArgument']);
  expect(text).toContain(`<ArgumentName>${argument}</ArgumentName>`);
  return answer;
}

/** A new bucket, plain or encrypted, with one object in it. */
async function newBucket(encrypted: boolean): Promise<{ bucket: string; body: Buffer }> {
  const bucket = world.newName();
  await world.done({ method: 'PUT', path: `/${bucket}`, headers: encrypted ? AES256 : [] });
  const body = world.newBody(encrypted);
  await world.done({ method: 'PUT', path: `/${bucket}/object`, body });
  return { bucket, body };
}
const turnOn = (bucket: string): Promise<RawAnswer> =>
  world.done({
    method: 'PUT',
    path: `/${bucket}`,
    query: [['encryption', null]],
    body: Buffer.from(ENCRYPTION_RULE),
  });
const turnOff = (bucket: string): Promise<RawAnswer> =>
  world.done({ method: 'DELETE', path: `/${bucket}`, query: [['encryption', null]] });

async function beginUpload(bucket: string): Promise<string> {
  const answer = await world.done({ method: 'POST', path: `/${bucket}/upload`, query: [['uploads', null]] });
  return /<UploadId>([^<]+)</.exec(answer.body.toString('utf8'))?.[1] ?? '';
}
const partRequest = (bucket: string, uploadId: string, body: Buffer): RawRequest => ({
  method: 'PUT',
  path: `/${bucket}/upload`,
  query: [
    ['partNumber', '1'],
    ['uploadId', uploadId],
  ],
  body,
});
const completion = (bucket: string, uploadId: string, part: Buffer): RawRequest =>
  completionOf({ bucket, key: 'upload', uploadId, etag: `"${md5Hex(part)}"` });

describe('what earlier systems got wrong', () => {
  it('CreateMultipartUpload with AES256 on a plain bucket is refused, and nothing uploaded there is ever called encrypted', async () => {
    const { bucket } = await newBucket(false);
    const before = world.store.snapshot();
    const create: RawRequest = { method: 'POST', path: `/${bucket}/upload`, query: [['uploads', null]] };
    await expectRefused({ ...create, headers: AES256 }, SSE);
    expect(world.store.snapshot()).toEqual(before);
    const uploadId = await beginUpload(bucket);
    const body = world.newBody(false);
    const part = await world.done(partRequest(bucket, uploadId, body));
    const completed = await world.done(completion(bucket, uploadId, body));
    expect([part.headers[SSE], completed.headers[SSE]]).toEqual([undefined, undefined]);
    expect(await encryptionOf(`/${bucket}/upload`)).toBeUndefined();
    expect(world.store.object(bucket, 'upload')?.bytes.equals(body)).toBe(true);
  });

  it('a multipart upload without headers in a bucket whose encryption was deleted is plain, and HEAD says nothing', async () => {
    const { bucket } = await newBucket(true);
    await turnOff(bucket);
    const uploadId = await beginUpload(bucket);
    const body = world.newBody(false);
    await world.done(partRequest(bucket, uploadId, body));
    const completed = await world.done(completion(bucket, uploadId, body));
    expect(completed.headers[SSE]).toBeUndefined();
    expect(await encryptionOf(`/${bucket}/upload`)).toBeUndefined();
    expect(world.store.object(bucket, 'upload')).toEqual({ encrypted: false, bytes: body });
  });

  it('a copy of an object onto itself with AES256 in a plain bucket is refused, and the object is unchanged', async () => {
    const { bucket, body } = await newBucket(false);
    const copy: RawRequest = { method: 'PUT', path: `/${bucket}/object` };
    const source = ['x-amz-copy-source', `/${bucket}/object`] as const;
    const before = world.store.snapshot();
    await expectRefused({ ...copy, headers: [source, ...AES256] }, SSE);
    const replace = ['x-amz-metadata-directive', 'REPLACE'] as const;
    await expectRefused({ ...copy, headers: [source, replace, ...AES256] }, SSE);
    expect(world.store.snapshot()).toEqual(before);
    const read = await world.done({ method: 'GET', path: `/${bucket}/object` });
    expect(read.body.equals(body)).toBe(true);
    expect(read.headers[SSE]).toBeUndefined();
  });

  it.each(['aes256', 'AES-256', 'AES256;', '"AES256"', 'AES', 'aws:kms', 'true', ''])(
    'CreateBucket with the misspelt value %j is refused, and there is no bucket',
    async (value) => {
      const bucket = world.newName();
      const before = world.store.snapshot();
      for (const name of [SSE, SCAL_SSE]) {
        await expectRefused({ method: 'PUT', path: `/${bucket}`, headers: [[name, value]] }, name);
      }
      expect((await request({ method: 'HEAD', path: `/${bucket}` })).status).toBe(404);
      expect(world.store.snapshot()).toEqual(before);
    },
  );

  it('a copy onto itself after encryption was turned on makes the object encrypted on disk, and only then it says so', async () => {
    const { bucket, body } = await newBucket(false);
    await turnOn(bucket);
    expect(await encryptionOf(`/${bucket}/object`)).toBeUndefined();
    expect(world.store.object(bucket, 'object')).toEqual({ encrypted: false, bytes: body });
    const headers = [['x-amz-copy-source', `/${bucket}/object`]] as const;
    const copied = await world.done({ method: 'PUT', path: `/${bucket}/object`, headers });
    expect(copied.headers[SSE]).toBe('AES256');
    expect(await encryptionOf(`/${bucket}/object`)).toBe('AES256');
    const stored = world.store.object(bucket, 'object');
    expect(stored?.encrypted).toBe(true);
    expect(stored?.bytes.includes(body.subarray(0, 60))).toBe(false);
    expect((await world.done({ method: 'GET', path: `/${bucket}/object` })).body.equals(body)).toBe(true);
  });

  it('customer-key headers on CreateMultipartUpload and GetObject are refused and not ignored', async () => {
    const headers = [
      [`${SSE}-customer-algorithm`, 'AES256'],
      ...CUSTOMER_KEY,
      [`${SSE}-customer-key-md5`, 'YmFkIGtleSBkaWdlc3Qh'],
    ] as const;
    for (const encrypted of [true, false]) {
      const { bucket } = await newBucket(encrypted);
      const before = world.store.snapshot();
      const create: RawRequest = { method: 'POST', path: `/${bucket}/upload`, query: [['uploads', null]] };
      for (const sent of [create, { method: 'GET', path: `/${bucket}/object` }]) {
        const answer = await expectRefused({ ...sent, headers }, `${SSE}-customer-algorithm`);
        expect(answer.body.includes('ArgumentValue')).toBe(false);
        for (const header of headers) await expectRefused({ ...sent, headers: [header] }, header[0]);
      }
      expect(world.store.snapshot()).toEqual(before);
    }
  });

  it('an upload begun plain refuses AES256 after encryption was turned on and stays plain; one begun encrypted stays encrypted after it was turned off', async () => {
    const plain = await newBucket(false);
    const plainId = await beginUpload(plain.bucket);
    await turnOn(plain.bucket);
    const clear = world.newBody(false);
    const before = world.store.snapshot();
    await expectRefused({ ...partRequest(plain.bucket, plainId, clear), headers: AES256 }, SSE);
    expect(world.store.snapshot()).toEqual(before);
    const part = await world.done(partRequest(plain.bucket, plainId, clear));
    expect(part.headers[SSE]).toBeUndefined();
    await world.done(completion(plain.bucket, plainId, clear));
    expect(await encryptionOf(`/${plain.bucket}/upload`)).toBeUndefined();
    expect(world.store.object(plain.bucket, 'upload')).toEqual({ encrypted: false, bytes: clear });

    const encrypted = await newBucket(true);
    const encryptedId = await beginUpload(encrypted.bucket);
    await turnOff(encrypted.bucket);
    const secret = world.newBody(true);
    const sealed = await world.done(partRequest(encrypted.bucket, encryptedId, secret));
    expect(sealed.headers[SSE]).toBe('AES256');
    const stored = world.store.part(encryptedId, 1);
    expect(stored?.length).toBeGreaterThan(secret.length);
    expect(stored?.includes(secret.subarray(0, 60))).toBe(false);
    await world.done(completion(encrypted.bucket, encryptedId, secret));
    expect(await encryptionOf(`/${encrypted.bucket}/upload`)).toBe('AES256');
    const read = await world.done({ method: 'GET', path: `/${encrypted.bucket}/upload` });
    expect(read.body.equals(secret)).toBe(true);
    expect(world.store.filesWith(world.sealedMarker)).toBe(0);
  });

  it("CreateBucket with AES256 of a plain bucket of one's own is 409, and the bucket stays plain and says so", async () => {
    const { bucket } = await newBucket(false);
    const before = world.store.snapshot();
    for (const headers of [AES256, [[SCAL_SSE, 'AES256']] as const, []]) {
      const answer = await request({ method: 'PUT', path: `/${bucket}`, headers });
      expect([answer.status, answer.code]).toEqual([409, 'BucketAlreadyOwnedByYou']);
    }
    expect(world.store.snapshot()).toEqual(before);
    expect(await scalEncryptionOf(bucket)).toBeUndefined();
    await world.done({ method: 'PUT', path: `/${bucket}/later`, body: world.newBody(false) });
    expect(await encryptionOf(`/${bucket}/later`)).toBeUndefined();
    expect(world.store.object(bucket, 'later')?.encrypted).toBe(false);
  });
});

describe('the body of a refused request', () => {
  const LARGE = 20 * MIB;
  const large = (sent: Omit<RawRequest, 'body'>): RawRequest => ({
    ...sent,
    body: Buffer.alloc(LARGE, 'nobody may store this '),
    payloadHash: 'UNSIGNED-PAYLOAD',
  });
  const part = ({ bucket, key, uploadId }: OpenUpload) =>
    ({
      method: 'PUT',
      path: `/${bucket}/${key}`,
      query: [
        ['partNumber', '1'],
        ['uploadId', uploadId],
      ],
    }) as const;
  const REFUSED: readonly (readonly [string, () => Omit<RawRequest, 'body'>])[] = [
    ['PutObject, AES256, plain bucket', () => ({ method: 'PUT', path: '/plain/large', headers: AES256 })],
    [
      'PutObject, aws:kms, encrypted bucket',
      () => ({ method: 'PUT', path: '/encrypted/large', headers: [[SSE, 'aws:kms']] }),
    ],
    [
      'PutObject, customer key in the query',
      () => ({ method: 'PUT', path: '/encrypted/large', query: CUSTOMER_KEY }),
    ],
    [
      'PutObject, announced trailer, plain bucket',
      () => ({ method: 'PUT', path: '/plain/large', headers: [['trailer', SSE]] }),
    ],
    ['UploadPart, AES256, plain upload', () => ({ ...part(world.openUpload('turned-on')), headers: AES256 })],
    [
      'UploadPart, customer key, encrypted upload',
      () => ({ ...part(world.openUpload('encrypted')), headers: CUSTOMER_KEY }),
    ],
  ];

  it.each(REFUSED)('is not asked for when the client expects 100 Continue: %s', async (_, refused) => {
    const sent = large(refused());
    const headers = [...(sent.headers ?? []), ['expect', '100-continue']] as const;
    const { head } = sign(world.deployment.server, { ...sent, headers });
    expect(head).toContain(`content-length: ${LARGE}`);
    const said = await answerBeforeBody(world.deployment.server, head);
    expect(said.slice(0, 12)).toBe('HTTP/1.1 400');
    expect(said).toContain('<Code>InvalidArgument</Code>');
    expect(said).not.toContain('100 Continue');
  });

  it('is not asked for when a form says in its head what no bucket accepts', async () => {
    const head = (header: string): string =>
      `POST /plain HTTP/1.1\r\nhost: ${new URL(world.deployment.server.endpoint).host}\r\n` +
      `content-type: multipart/form-data; boundary=b\r\n${header}content-length: ${LARGE}\r\n` +
      'expect: 100-continue\r\nconnection: close\r\n\r\n';
    const said = await answerBeforeBody(world.deployment.server, head(`${SSE}: aws:kms\r\n`));
    expect(said.slice(0, 12)).toBe('HTTP/1.1 400');
    expect(said).toContain(`<ArgumentName>${SSE}</ArgumentName>`);
    expect((await answerBeforeBody(world.deployment.server, head(''))).slice(0, 12)).toBe('HTTP/1.1 100');
  });

  it('is asked for when the request is allowed', async () => {
    const headers = [['expect', '100-continue']] as const;
    const { head } = sign(
      world.deployment.server,
      large({ method: 'PUT', path: '/plain/expected', headers }),
    );
    expect((await answerBeforeBody(world.deployment.server, head)).slice(0, 12)).toBe('HTTP/1.1 100');
  });

  it('of 20 MiB that is sent anyway is answered with the refusal and reaches no disk; an allowed one is seen to', async () => {
    const watched = watchBlobs(world.deployment.server.dataFolder);
    try {
      const before = world.store.snapshot();
      for (const [title, refused] of REFUSED) {
        for (const expects of [[], [['expect', '100-continue']]] as const) {
          const sent = large(refused());
          const answer = await request({ ...sent, headers: [...(sent.headers ?? []), ...expects] });
          expect([title, answer.status, answer.code]).toEqual([title, 400, 'InvalidArgument']);
        }
      }
      expect(await watched.names()).toEqual([]);
      expect(world.store.snapshot()).toEqual(before);
      await world.done(large({ method: 'PUT', path: '/plain/allowed' }));
      expect((await watched.names()).length).toBe(1);
    } finally {
      watched.close();
    }
  });

  it.each([
    ['form', 'a field behind the file'],
    ['signed', 'aws-chunked trailer, unannounced'],
    ['signed', 'HTTP trailer, unannounced'],
    ['signed', 'HTTP trailer, announced'],
  ] as const)(
    'of a %s request is gone from the disk when the answer to %s arrives',
    async (kind, carried) => {
      const carrier = CARRIERS.find(({ title }) => title === carried);
      const body = Buffer.alloc(4 * MIB, 'staged for a moment ');
      const plan: Plan =
        kind === 'form'
          ? { kind, form: { bucket: 'encrypted', key: 'existing', file: body } }
          : { kind, request: { method: 'PUT', path: '/encrypted/existing', body } };
      const entries = [{ name: SSE, value: 'aws:kms', group: 'S', column: 3 }] as const;
      const watched = watchBlobs(world.deployment.server.dataFolder);
      try {
        const before = world.store.snapshot();
        const answer = await carrier?.send(world.deployment.server, plan, { title: '', column: 3, entries });
        expect(world.store.snapshot()).toEqual(before);
        expect([answer?.status, answer?.code]).toEqual([400, 'InvalidArgument']);
        expect((await watched.names()).length).toBe(1);
      } finally {
        watched.close();
      }
    },
  );
});
