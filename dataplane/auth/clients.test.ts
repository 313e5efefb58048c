import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import * as fc from 'fast-check';
import { Client } from 'minio';
import { describe, expect, it } from 'vitest';
import { createBodyDecoder } from '../s3/body/decoder.ts';
import { createChecksum } from '../s3/integrity/checksums.ts';
import { requestedChecksum, trailerChecksum } from '../s3/integrity/requestedChecksum.ts';
import { HeaderBag, type Target } from '../s3/request.ts';
import { parseTarget } from '../s3/target.ts';
import { authenticate } from './authenticate.ts';
import { authenticatePost } from './authenticatePost.ts';
import { ACCESS_KEY, deps, OWNER, SECRET_KEY } from './signer.testkit.ts';

/** Signers that other people wrote, on requests caught before they reach a socket. */

const ENDPOINT = 'http://127.0.0.1:9000';
const HOST = '127.0.0.1:9000';
const NOW = deps({ now: () => Date.now() });

interface Caught {
  readonly target: Target;
  readonly headers: HeaderBag;
  readonly body: unknown;
}

type RequestHandler = Exclude<NonNullable<S3ClientConfig['requestHandler']>, Record<string, unknown>>;

/** Runs a call of the SDK up to where the request would go out, in the form that its own HTTP handler gives it. */
async function catchRequest(call: (client: S3Client) => Promise<unknown>): Promise<Caught> {
  let caught: Caught | null = null;
  const requestHandler = {
    handle(request: {
      method: string;
      path: string;
      query?: Record<string, string | string[] | null>;
      headers: Record<string, string>;
      body?: unknown;
    }) {
      const query = Object.entries(request.query ?? {})
        .flatMap(([name, value]) => [value].flat().map((one) => [name, one] as const))
        .map(([name, value]) => (value === null ? escape(name) : `${escape(name)}=${escape(value)}`))
        .join('&');
      const url = query === '' ? request.path : `${request.path}?${query}`;
      caught = {
        target: parseTarget(request.method, url, request.headers['host'], []),
        headers: new HeaderBag(Object.entries(request.headers).flat()),
        body: request.body,
      };
      return Promise.resolve({ response: { statusCode: 200, headers: {}, body: Readable.from([]) } });
    },
  };
  const client = new S3Client({
    endpoint: ENDPOINT,
    forcePathStyle: true,
    region: 'us-east-1',
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    maxAttempts: 1,
    requestHandler: requestHandler as RequestHandler,
  });
  await call(client);
  client.destroy();
  if (caught === null) throw new Error('the client sent nothing');
  return caught;
}

function escape(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

const KEYS = ['a', 'a b+c&d=e', "!*'()~", 'ü/中/😀', '100%', '..//x', '%2f', 'a?b#c', '\u0001\u001f', 'x/'];

describe('the AWS SDK for JavaScript', () => {
  it.each(KEYS)('is believed about the key %j, in headers and in a presigned URL', async (Key) => {
    const { target, headers } = await catchRequest((client) =>
      client.send(new GetObjectCommand({ Bucket: 'bucket', Key, Range: 'bytes=0-9' })),
    );
    expect(authenticate(target, headers, NOW).principal).toEqual({
      accessKeyId: ACCESS_KEY,
      ownerId: OWNER,
      rights: 'everything',
    });
    expect(target.key?.toString('utf8')).toBe(Key);

    const client = new S3Client({
      endpoint: ENDPOINT,
      forcePathStyle: true,
      region: 'us-east-1',
      credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    });
    const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: 'bucket', Key }), {
      expiresIn: 60,
    });
    const presigned = parseTarget('GET', url.slice(ENDPOINT.length), HOST, []);
    expect(presigned.key?.toString('utf8')).toBe(Key);
    expect(authenticate(presigned, new HeaderBag(['Host', HOST]), NOW).payload).toEqual({ kind: 'unsigned' });
  });

  it('is believed about any list parameters', async () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((it) => it.isWellFormed());
    await fc.assert(
      fc.asyncProperty(text, text, async (Prefix, Delimiter) => {
        const { target, headers } = await catchRequest((client) =>
          client.send(new ListObjectsV2Command({ Bucket: 'bucket', Prefix, Delimiter })),
        );
        expect(target.query.get('prefix')).toBe(Prefix);
        expect(() => authenticate(target, headers, NOW)).not.toThrow();
      }),
      { numRuns: 30 },
    );
  });

  it('is believed about user metadata with runs of blanks', async () => {
    const Metadata = { a: '  two  blanks  ', b: 'tab\there' };
    const { target, headers } = await catchRequest((client) =>
      client.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: 'x', Metadata })),
    );
    expect(() => authenticate(target, headers, NOW)).not.toThrow();
  });

  it('is not believed once anything that it signed was changed', async () => {
    const { target, headers } = await catchRequest((client) =>
      client.send(new CreateBucketCommand({ Bucket: 'bucket' })),
    );
    const mismatch = expect.objectContaining({ code: 'SignatureDoesNotMatch' });
    const elsewhere = parseTarget('PUT', '/other', HOST, []);
    expect(() => authenticate(elsewhere, headers, NOW)).toThrow(mismatch);
    const doubled = new HeaderBag([...headers.entries.flat(), 'x-amz-user-agent', 'another']);
    expect(() => authenticate(target, doubled, NOW)).toThrow(mismatch);
  });

  it.each(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const)(
    'sends a stream as aws-chunked with its %s in the trailer',
    async (ChecksumAlgorithm) => {
      const content = Buffer.alloc(200_000, 'stream ');
      const { target, headers, body } = await catchRequest((client) =>
        client.send(
          new PutObjectCommand({
            Bucket: 'bucket',
            Key: 'k',
            Body: Readable.from([content.subarray(0, 70_000), content.subarray(70_000)]),
            ContentLength: content.length,
            ChecksumAlgorithm,
          }),
        ),
      );
      const { payload } = authenticate(target, headers, NOW);
      expect(payload).toEqual({ kind: 'aws-chunked', signing: null, trailer: true });
      const requested = requestedChecksum(headers);
      expect(requested).toEqual({ algorithm: ChecksumAlgorithm, expected: null, inTrailer: true });

      expect(body).toBeInstanceOf(Readable);
      const wire = await buffer(body as Readable);
      const decoder = createBodyDecoder(payload, content.length, [
        `x-amz-checksum-${ChecksumAlgorithm.toLowerCase()}`,
      ]);
      const plaintext = Buffer.concat(decoder.push(wire));
      expect(plaintext.equals(content)).toBe(true);
      const checksum = createChecksum(ChecksumAlgorithm);
      checksum.update(plaintext);
      expect(trailerChecksum(ChecksumAlgorithm, decoder.end().trailers)).toEqual(checksum.digest());
    },
  );

  it('sends a buffer with its SHA-256 and the checksum in a header', async () => {
    const content = Buffer.from('123456789');
    const { target, headers } = await catchRequest((client) =>
      client.send(
        new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: content, ChecksumAlgorithm: 'CRC64NVME' }),
      ),
    );
    const decoder = createBodyDecoder(authenticate(target, headers, NOW).payload, content.length, []);
    expect(decoder.push(content)).toEqual([content]);
    expect(() => decoder.end()).not.toThrow();
    expect(requestedChecksum(headers)?.expected?.toString('hex')).toBe('ae8b14860a799888');
  });
});

describe('minio-js', () => {
  const client = new Client({
    endPoint: '127.0.0.1',
    port: 9000,
    useSSL: false,
    region: 'us-east-1',
    accessKey: ACCESS_KEY,
    secretKey: SECRET_KEY,
  });

  it.each(KEYS.filter((key) => !key.includes('//')))(
    'is believed about a presigned URL for %j',
    async (key) => {
      const url = await client.presignedPutObject('bucket', key, 60);
      const target = parseTarget('PUT', url.slice(ENDPOINT.length), HOST, []);
      expect(() => authenticate(target, new HeaderBag(['Host', HOST]), NOW)).not.toThrow();
    },
  );

  it('is believed about a POST policy', async () => {
    const policy = client.newPostPolicy();
    policy.setBucket('bucket');
    policy.setKeyStartsWith('uploads/');
    policy.setContentType('text/plain');
    policy.setContentLengthRange(1, 1024);
    policy.setExpires(new Date(Date.now() + 60_000));
    const { formData } = await client.presignedPostPolicy(policy);
    const fields = new Map(
      Object.entries(formData).map(([name, value]): [string, string] => [name.toLowerCase(), String(value)]),
    );
    fields.set('key', 'uploads/a');
    fields.delete('bucket');
    expect(authenticatePost(fields, 'bucket', NOW)).toEqual({
      principal: { accessKeyId: ACCESS_KEY, ownerId: OWNER, rights: 'everything' },
      contentLengthRange: { min: 1, max: 1024 },
    });
    expect(() => authenticatePost(fields, 'other', NOW)).toThrow(
      expect.objectContaining({ code: 'AccessDenied' }),
    );
  });
});
