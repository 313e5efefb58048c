import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUCKETS, type Deployment, startDeployment } from '../harness/deployment.ts';
import { exchange, type RawAnswer, type RawRequest, send } from '../harness/signedRequest.ts';
import { finished, storeState } from '../harness/untouched.ts';

const OLD = Buffer.alloc(40_000, 'old ');
const NEW = Buffer.alloc(60_000, 'new ');
/** Of the right length for its algorithm, and wrong. */
const WRONG_CHECKSUMS = [
  ['crc32', 4],
  ['crc32c', 4],
  ['crc64nvme', 8],
  ['sha1', 20],
  ['sha256', 32],
] as const;

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
  for (const bucket of BUCKETS) await put({ path: `/${bucket}/existing`, body: OLD });
});
afterAll(() => deployment?.close());

async function put(request: Partial<RawRequest>): Promise<RawAnswer> {
  return await send(deployment.server, { method: 'PUT', path: '/encrypted/existing', body: NEW, ...request });
}

/** Sends what must be refused, and looks that nothing of it is left and that the server goes on. */
async function refused(sent: () => Promise<RawAnswer>): Promise<RawAnswer> {
  const { server } = deployment;
  const before = storeState(server);
  const answer = await sent();
  await finished(server, answer);
  expect(storeState(server)).toEqual(before);
  expect(await server.metric('sealgate_s3_requests_in_flight')).toBe(0);
  const existing = await send(server, { method: 'GET', path: '/encrypted/existing' });
  expect(existing.body.equals(OLD)).toBe(true);
  return answer;
}

const unsigned = (lines: string, method = 'PUT', path = '/encrypted/existing'): Promise<RawAnswer> => {
  const head = `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`;
  return exchange(deployment.server.endpoint, Buffer.from(head, 'latin1'), { method });
};

type Case = readonly [what: string, sent: () => Promise<RawAnswer>, status: number, code: string];

const MINUTES = 60_000;
const SIGNATURES: readonly Case[] = [
  ['a signature by another secret', () => put({ secretAccessKey: 'wrong' }), 403, 'SignatureDoesNotMatch'],
  ['an access key that nobody has', () => put({ accessKeyId: 'AKIANOBODY' }), 403, 'InvalidAccessKeyId'],
  ['a clock 16 minutes ahead', () => put({ clockOffsetMs: 16 * MINUTES }), 403, 'RequestTimeTooSkewed'],
  ['a clock 16 minutes behind', () => put({ clockOffsetMs: -16 * MINUTES }), 403, 'RequestTimeTooSkewed'],
  ['another region', () => put({ region: 'eu-west-1' }), 400, 'AuthorizationHeaderMalformed'],
  ['a security token', () => put({ headers: [['x-amz-security-token', 'token']] }), 400, 'InvalidToken'],
  [
    'signature version 2',
    () => unsigned('Authorization: AWS AKIA:c2ln\r\nDate: now\r\n'),
    400,
    'InvalidRequest',
  ],
  ['no signature at all', () => unsigned('Content-Length: 0\r\n'), 403, 'AccessDenied'],
  [
    'an expired presigned URL',
    () => put({ presigned: true, clockOffsetMs: -20 * MINUTES }),
    403,
    'AccessDenied',
  ],
  [
    'a presigned URL by another secret',
    () => put({ presigned: true, secretAccessKey: 'x' }),
    403,
    'SignatureDoesNotMatch',
  ],
  ['a body that was not signed', () => put({ body: NEW, wireBody: OLD }), 400, 'XAmzContentSHA256Mismatch'],
  ['an unknown payload form', () => put({ payloadHash: 'STREAMING-NONSENSE' }), 400, 'InvalidArgument'],
];

const LENGTHS: readonly Case[] = [
  ['no length', () => put({ withoutLength: true, wireBody: Buffer.alloc(0) }), 411, 'MissingContentLength'],
  [
    'a chunked body of unknown length',
    () =>
      put({
        withoutLength: true,
        headers: [['transfer-encoding', 'chunked']],
        wireBody: Buffer.from('1\r\nx\r\n0\r\n\r\n'),
      }),
    411,
    'MissingContentLength',
  ],
  [
    'a body that ends early',
    () => put({ headers: [['content-length', '70000']], wireBody: NEW, halfClose: true }),
    400,
    'IncompleteBody',
  ],
  [
    'more than 5 GiB',
    () => put({ headers: [['content-length', String(5 * 2 ** 30 + 1)]], wireBody: Buffer.alloc(0) }),
    400,
    'EntityTooLarge',
  ],
  [
    'almost 2^64 bytes',
    () => put({ headers: [['content-length', '18446744073709551614']], wireBody: Buffer.alloc(0) }),
    400,
    'EntityTooLarge',
  ],
  ['a key of 1,025 bytes', () => put({ path: `/encrypted/${'k'.repeat(1025)}` }), 400, 'KeyTooLongError'],
  [
    'user metadata over 2 KiB',
    () => put({ headers: [['x-amz-meta-a', 'a'.repeat(2048)]] }),
    400,
    'MetadataTooLarge',
  ],
  [
    'a head over 16 KiB',
    () => put({ headers: [['x-a', 'a'.repeat(20_000)]] }),
    400,
    'RequestHeaderSectionTooLarge',
  ],
  [
    '10,000 headers',
    () => put({ headers: Array.from({ length: 10_000 }, (_, i) => [`x-h${i}`, 'v'] as const) }),
    400,
    'RequestHeaderSectionTooLarge',
  ],
];

const md5 = (bytes: Buffer): string => createHash('md5').update(bytes).digest('base64');
const DIGESTS: readonly Case[] = [
  ['another MD5', () => put({ headers: [['content-md5', md5(OLD)]] }), 400, 'BadDigest'],
  ['an MD5 that is none', () => put({ headers: [['content-md5', 'nonsense']] }), 400, 'InvalidDigest'],
  ...WRONG_CHECKSUMS.flatMap(([name, sizeBytes]): Case[] => {
    const header = `x-amz-checksum-${name}`;
    const wrong = Buffer.alloc(sizeBytes, 1).toString('base64');
    return [
      [`another ${name}`, () => put({ headers: [[header, wrong]] }), 400, 'BadDigest'],
      [`a ${name} that is none`, () => put({ headers: [[header, 'AAA']] }), 400, 'InvalidRequest'],
    ];
  }),
  [
    'two checksums',
    () =>
      put({
        headers: [
          ['x-amz-checksum-crc32', crcOf(NEW)],
          ['x-amz-checksum-sha1', createHash('sha1').update(NEW).digest('base64')],
        ],
      }),
    400,
    'InvalidRequest',
  ],
  [
    'a checksum of an unknown kind',
    () => put({ headers: [['x-amz-checksum-md4', 'AAAA']] }),
    400,
    'InvalidRequest',
  ],
  [
    'a trailer announced for a body without',
    () => put({ headers: [['x-amz-trailer', 'x-amz-checksum-crc32']] }),
    400,
    'MalformedTrailerError',
  ],
  [
    'an encryption trailer beside a bad checksum, as the header rules say first',
    () =>
      put({
        path: '/plain/existing',
        headers: [['x-amz-trailer', 'x-amz-server-side-encryption,x-amz-checksum-crc32,']],
      }),
    400,
    'InvalidArgument',
  ],
];

function crcOf(bytes: Buffer): string {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return value.toString('base64');
}

const HEADERS: readonly Case[] = (
  [
    ['x-amz-tagging', 'a=b', 501, 'NotImplemented'],
    ['x-amz-object-lock-mode', 'GOVERNANCE', 501, 'NotImplemented'],
    ['x-amz-object-lock-legal-hold', 'ON', 501, 'NotImplemented'],
    ['x-amz-website-redirect-location', '/', 501, 'NotImplemented'],
    ['x-amz-write-offset-bytes', '0', 501, 'NotImplemented'],
    ['x-amz-acl', 'public-read', 400, 'AccessControlListNotSupported'],
    ['x-amz-grant-read', 'id=1', 400, 'AccessControlListNotSupported'],
    ['x-amz-storage-class', 'GLACIER', 400, 'InvalidStorageClass'],
    ['x-amz-expected-bucket-owner', '0'.repeat(64), 403, 'AccessDenied'],
    ['x-amz-server-side-encryption', 'aws:kms', 400, 'InvalidArgument'],
    ['transfer-encoding', 'gzip, chunked', 501, 'NotImplemented'],
  ] as const
).map(([name, value, status, code]) => {
  const lengthless = name === 'transfer-encoding';
  return [
    `${name}: ${value}`,
    () => put({ headers: [[name, value]], withoutLength: lengthless }),
    status,
    code,
  ];
});

const PATHS: readonly Case[] = [
  ['ill-formed UTF-8', () => put({ path: '/encrypted/%ff' }), 400, 'InvalidURI'],
  ['a surrogate as UTF-8', () => put({ path: '/encrypted/%ed%a0%80' }), 400, 'InvalidURI'],
  ['an overlong slash', () => put({ path: '/encrypted/%c0%af' }), 400, 'InvalidURI'],
  ['half a percent-encoding', () => put({ path: '/encrypted/%4' }), 400, 'InvalidURI'],
  ['a bucket that there is not', () => put({ path: '/nobodys-bucket/key' }), 404, 'NoSuchBucket'],
  ['a bucket up the tree', () => put({ path: '/../encrypted/key' }), 404, 'NoSuchBucket'],
  ['no bucket before the key', () => put({ path: '//key' }), 400, 'InvalidBucketName'],
  ...[
    'ab',
    'Upper',
    'under_score',
    'a..b',
    '192.168.0.1',
    'xn--name',
    'a'.repeat(64),
    '-name',
    '%2e%2e',
    '%00%00%00',
  ].map(
    (name): Case => [
      `a bucket named ${name}`,
      () => put({ path: `/${name}`, body: Buffer.alloc(0) }),
      400,
      'InvalidBucketName',
    ],
  ),
];

describe('a PUT over an existing object', () => {
  it.each([...SIGNATURES, ...LENGTHS, ...DIGESTS, ...HEADERS, ...PATHS])(
    'with %s is refused, and nothing is stored',
    async (_, sent, status, code) => {
      const answer = await refused(sent);
      expect([answer.status, answer.code]).toEqual([status, code]);
    },
  );

  it.each(
    ['tagging', 'acl', 'retention', 'legal-hold', 'torrent', 'restore', 'renameObject', 'nonsense'].flatMap(
      (name) => (['PUT', 'POST', 'DELETE', 'GET'] as const).map((method) => [method, name] as const),
    ),
  )('%s ?%s is not built, and never taken for the object itself', async (method, name) => {
    const body = method === 'PUT' || method === 'POST' ? NEW : Buffer.alloc(0);
    for (const query of [[name, null] as const, [name, ''] as const]) {
      const answer = await refused(() =>
        send(deployment.server, { method, path: '/encrypted/existing', query: [query], body }),
      );
      expect([answer.status, answer.code]).toEqual([501, 'NotImplemented']);
    }
  });

  it('with Expect: 100-continue is refused before the body is sent', async () => {
    const answer = await refused(() =>
      put({
        secretAccessKey: 'wrong',
        headers: [
          ['expect', '100-continue'],
          ['content-length', '60000'],
        ],
        wireBody: Buffer.alloc(0),
      }),
    );
    expect(answer.code).toBe('SignatureDoesNotMatch');
    expect(answer.headers['connection']).toBe('close');
  });

  it('of nothing at all is an object like any other', async () => {
    const answer = await put({ path: '/encrypted/nothing', body: Buffer.alloc(0) });
    expect(answer.status).toBe(200);
    const read = await send(deployment.server, { method: 'GET', path: '/encrypted/nothing' });
    expect([read.status, read.body.length, read.headers['etag']]).toEqual([
      200,
      0,
      '"d41d8cd98f00b204e9800998ecf8427e"',
    ]);
  });
});

describe('a GET', () => {
  it.each([
    ['bytes=40000-', 416, 'InvalidRange'],
    ['bytes=-0', 416, 'InvalidRange'],
    ['bytes=99999999999999999999-', 416, 'InvalidRange'],
    ['bytes=5-4', 200, ''],
    ['bytes=a-b', 200, ''],
    ['bytes=0-1,4-5', 200, ''],
    ['lines=0-1', 200, ''],
  ])('of the range %s is answered %i', async (range, status, code) => {
    const answer = await send(deployment.server, {
      method: 'GET',
      path: '/encrypted/existing',
      headers: [['range', range]],
    });
    expect([answer.status, answer.code]).toEqual([status, code]);
  });

  it.each(['0', '10001', '-1', 'one', ''])('of part %j is refused', async (partNumber) => {
    const answer = await send(deployment.server, {
      method: 'GET',
      path: '/encrypted/existing',
      query: [['partNumber', partNumber]],
    });
    expect([answer.status, answer.code]).toEqual([400, 'InvalidArgument']);
  });
});
