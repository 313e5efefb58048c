/** What other requests, failing storage and vanishing clients do to copies and multipart uploads. */
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Metadata, MetadataError } from '../metadata/metadata.ts';
import {
  BUCKET,
  head,
  openTestStore,
  startTestServer,
  type TestServer,
  type TestStore,
  Wire,
  withMetadata,
} from './server.testkit.ts';
import type { S3ServerOptions } from './server.ts';

const GIB = 1024 ** 3;
/** Larger than what is kept in the metadata. */
const BODY = 'x'.repeat(300_000);
const ETAG = createHash('md5').update(BODY).digest('hex');
const COPY = ['x-amz-copy-source', `${BUCKET}/source`] as const;
/** Asks for a checksum that the source does not have: the bytes have to be read. */
const STREAMED = ['x-amz-checksum-algorithm', 'SHA256'] as const;

let store: TestStore;
let server: TestServer;
beforeAll(async () => {
  store = await openTestStore();
  await serve();
  expect(await ask('PUT', 'source', { body: BODY })).toMatchObject({ status: 200 });
  await server[Symbol.asyncDispose]();
});
afterAll(() => store[Symbol.asyncDispose]());
afterEach(() => server[Symbol.asyncDispose]());

async function serve(
  change: (metadata: Metadata) => Partial<Metadata> = () => ({}),
  options: S3ServerOptions = {},
): Promise<void> {
  server = await startTestServer(store, options, withMetadata(change));
}

interface Request {
  readonly headers?: readonly (readonly [string, string])[];
  readonly query?: string;
  readonly body?: string;
}

function start(method: string, key: string, { headers = [], query = '', body = '' }: Request): Wire {
  const wire = new Wire(server.port);
  const length = ['content-length', String(body.length)] as const;
  wire.send(head(method, `/${BUCKET}/${key}`, [...headers, length, ['connection', 'close']], query) + body);
  return wire;
}

async function ask(
  method: string,
  key: string,
  request: Request = {},
): Promise<{ status: number; text: string }> {
  const text = await start(method, key, request).end();
  return { status: Number(text.slice(9, 12)), text };
}

const codeOf = ({ text }: { text: string }): string => /<Code>(.*?)<\/Code>/.exec(text)?.[1] ?? '';

async function createUpload(): Promise<string> {
  const { text } = await ask('POST', 'upload', { query: 'uploads=' });
  return /<UploadId>(.*?)<\/UploadId>/.exec(text)?.[1] ?? '';
}

const putPart = (uploadId: string): Promise<{ status: number; text: string }> =>
  ask('PUT', 'upload', { query: `partNumber=1&uploadId=${uploadId}`, body: BODY });

const complete = (uploadId: string): Promise<{ status: number; text: string }> => {
  const part = `<Part><PartNumber>1</PartNumber><ETag>${ETAG}</ETag></Part>`;
  const body = `<CompleteMultipartUpload>${part}</CompleteMultipartUpload>`;
  return ask('POST', 'upload', { query: `uploadId=${uploadId}`, body });
};

/** Rejects the first `times` calls with that code, then does what the engine does. */
function losing<A extends unknown[], R>(
  code: MetadataError['code'],
  times: number,
  then: (...args: A) => Promise<R>,
): { calls: number; run: (...args: A) => Promise<R> } {
  const lost = {
    calls: 0,
    run: (...args: A): Promise<R> => {
      lost.calls += 1;
      return lost.calls <= times ? Promise.reject(new MetadataError(code, 'lost a race')) : then(...args);
    },
  };
  return lost;
}

describe('CopyObject', () => {
  it.each([
    [5 * GIB, 'none'],
    [5 * GIB + 1, 'InvalidRequest'],
  ])('of %i bytes: %s', async (size, expected) => {
    await serve((metadata) => ({
      currentVersion: async (bucketUid, key) => {
        const pinned = await metadata.currentVersion(bucketUid, key);
        return pinned === null ? null : { ...pinned, version: { ...pinned.version, size } };
      },
    }));
    const answer = await ask('PUT', 'large', { headers: [COPY] });
    expect(codeOf(answer) || 'none').toBe(expected);
    await server[Symbol.asyncDispose]();
    await serve();
    await ask('DELETE', 'large');
  });

  it.each([
    [7, 200, 8],
    [100, 409, 8],
  ])('whose source changes %i times: %i after %i attempts', async (times, status, attempts) => {
    let lost = { calls: 0 };
    await serve((metadata) => {
      const commit = losing('SourceChanged', times, metadata.commitVersion.bind(metadata));
      lost = commit;
      return { commitVersion: commit.run };
    });
    expect(await ask('PUT', 'copy', { headers: [COPY] })).toMatchObject({ status });
    expect(lost.calls).toBe(attempts);
  });

  it('keeps what an undecided commit may need, and removes what a refused one does not', async () => {
    await serve((metadata) => ({
      commitVersion: losing('NoSuchBucket', 1, metadata.commitVersion.bind(metadata)).run,
    }));
    const before = store.contents();
    expect(await ask('PUT', 'copy', { headers: [COPY, STREAMED] })).toMatchObject({ status: 404 });
    expect(store.contents()).toEqual(before);
    await server[Symbol.asyncDispose]();
    await serve((metadata) => ({
      commitVersion: losing('Unavailable', 1, metadata.commitVersion.bind(metadata)).run,
    }));
    expect(await ask('PUT', 'copy', { headers: [COPY, STREAMED] })).toMatchObject({ status: 503 });
    expect(store.contents().blobFiles).toHaveLength(before.blobFiles.length + 1);
  });

  it('whose client goes away stops and leaves nothing', async () => {
    const reading = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    await serve((metadata) => ({
      blobCrcs: async (...range) => {
        reading.resolve();
        await goOn.promise;
        return await metadata.blobCrcs(...range);
      },
    }));
    const before = store.contents();
    const ended = new Promise<void>((resolve) => {
      server.s3.server.once('connection', (socket) => socket.once('close', () => resolve()));
    });
    const wire = start('PUT', 'gone', { headers: [COPY, STREAMED] });
    await reading.promise;
    wire.socket.resetAndDestroy();
    await ended;
    goOn.resolve();
    await server.served(1);
    expect(store.contents()).toEqual(before);
  });

  it('of bytes that do not verify is a 500 and leaves nothing', async () => {
    await serve(() => ({ blobCrcs: () => Promise.resolve(new Uint8Array(12)) }));
    const before = store.contents();
    expect(await ask('PUT', 'broken', { headers: [COPY, STREAMED] })).toMatchObject({ status: 500 });
    expect(store.contents()).toEqual(before);
  });
});

describe('what takes long', () => {
  const IMPATIENT = { slowAnswer: { afterMs: 1, everyMs: 1 } };

  it.each([
    ['succeeds', null, /^<\?xml [^>]*>\s+<CopyObjectResult /],
    ['fails', 'NoSpace', /^<\?xml [^>]*>\s+<Error><Code>ServiceUnavailable</],
  ] as const)('and then %s says so inside its 200', async (_, failure, expected) => {
    const committing = Promise.withResolvers<void>();
    await serve(
      (metadata) => ({
        commitVersion: async (...commit) => {
          await committing.promise;
          if (failure !== null) throw new MetadataError(failure, 'no space');
          await metadata.commitVersion(...commit);
        },
      }),
      IMPATIENT,
    );
    const wire = start('PUT', 'slow', { headers: [COPY] });
    expect(await wire.until('<?xml')).toMatch(/^HTTP\/1\.1 200 /);
    committing.resolve();
    const chunks = (await wire.end()).split('\r\n\r\n').slice(1).join('');
    expect(chunks.replaceAll(/[0-9a-f]+\r\n|\r\n/g, '')).toMatch(expected);
    expect(server.finished[0]).toMatchObject({ operation: 'CopyObject', status: 200 });
  });
});

describe('CompleteMultipartUpload', () => {
  it.each([
    [7, 200, 8],
    [100, 409, 8],
  ])('of an upload that changes %i times: %i after %i attempts', async (times, status, attempts) => {
    let lost = { calls: 0 };
    await serve((metadata) => {
      const commit = losing('UploadChanged', times, metadata.completeUpload.bind(metadata));
      lost = commit;
      return { completeUpload: commit.run };
    });
    const uploadId = await createUpload();
    await putPart(uploadId);
    expect(await complete(uploadId)).toMatchObject({ status });
    expect(lost.calls).toBe(attempts);
  });

  it('that finds the upload gone when it commits is NoSuchUpload', async () => {
    await serve((metadata) => ({
      completeUpload: async (upload, version, ...rest) => {
        await metadata.abortUpload(version.bucketUid, version.key, upload.uploadId);
        await metadata.completeUpload(upload, version, ...rest);
      },
    }));
    const uploadId = await createUpload();
    await putPart(uploadId);
    expect(codeOf(await complete(uploadId))).toBe('NoSuchUpload');
  });

  it('that finds its parts gone while it reads them is NoSuchUpload, not InvalidPart', async () => {
    await serve((metadata) => ({
      uploadParts: async (uploadId) => {
        const upload = await metadata.bucket(BUCKET);
        await metadata.abortUpload(upload?.bucketUid ?? '', Buffer.from('upload'), uploadId);
        return [];
      },
    }));
    const uploadId = await createUpload();
    await putPart(uploadId);
    expect(codeOf(await complete(uploadId))).toBe('NoSuchUpload');
  });
});

describe.each([
  ['UploadPart', { body: BODY }],
  ['UploadPartCopy', { headers: [COPY] }],
] as const)('%s', (_, request) => {
  it.each([
    ['NoSuchUpload', 404],
    ['NoSpace', 503],
  ] as const)('whose commit ends in %s leaves nothing: %i', async (code, status) => {
    await serve((metadata) => ({ commitPart: losing(code, 1, metadata.commitPart.bind(metadata)).run }));
    const query = `partNumber=1&uploadId=${await createUpload()}`;
    const before = store.contents();
    expect(await ask('PUT', 'upload', { ...request, query })).toMatchObject({ status });
    expect(store.contents()).toEqual(before);
  });
});

it('a part whose client goes away leaves nothing', async () => {
  await serve();
  const query = `partNumber=1&uploadId=${await createUpload()}`;
  const before = store.contents();
  const wire = new Wire(server.port);
  const length = ['content-length', '9000000'] as const;
  wire.send(head('PUT', `/${BUCKET}/upload`, [length, ['expect', '100-continue']], query));
  await wire.until('100 Continue');
  const body = Buffer.alloc(4_000_000, 'x');
  await new Promise<void>((resolve) => wire.socket.write(body, () => resolve()));
  // Not a reset: everything that was sent arrives, more than is gathered before the first write to the store.
  wire.socket.destroy();
  await server.served(2);
  expect(store.contents()).toEqual(before);
});
