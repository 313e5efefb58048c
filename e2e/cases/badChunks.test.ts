import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createChecksum } from '../../dataplane/s3/integrity/checksums.ts';
import { type ChunkedRequest, chunkedRequest } from '../harness/chunkedBody.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { exchange, type RawAnswer, send } from '../harness/signedRequest.ts';
import { finished, storeState } from '../harness/untouched.ts';

const OLD = Buffer.alloc(40_000, 'old ');
const CHUNKS = ['a', 'b', 'c'].map((text) => Buffer.alloc(20_000, text));
const BODY = Buffer.concat(CHUNKS);
const ALGORITHMS = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const;
type Algorithm = (typeof ALGORITHMS)[number];

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2, buckets: true });
  await send(deployment.server, { method: 'PUT', path: '/encrypted/existing', body: OLD });
});
afterAll(() => deployment?.close());

async function put(request: Partial<ChunkedRequest>): Promise<RawAnswer> {
  const bytes = chunkedRequest(deployment.server, {
    method: 'PUT',
    path: '/encrypted/existing',
    form: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
    chunks: CHUNKS,
    ...request,
  });
  return await exchange(deployment.server.endpoint, bytes, { method: 'PUT' });
}

function trailer(algorithm: Algorithm, of = BODY): readonly [string, string] {
  const checksum = createChecksum(algorithm);
  checksum.update(of);
  return [`x-amz-checksum-${algorithm.toLowerCase()}`, checksum.digest().toString('base64')];
}

const SIGNED = 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER';
const UNSIGNED = 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
const CRC = (): readonly [string, string] => trailer('CRC32');

/** One hex digit of it changed. */
const changed = (signature: string): string => (signature.startsWith('0') ? '1' : '0') + signature.slice(1);
const spoilt = (at: number | 'trailer') => (index: number | 'trailer', signature: string) =>
  index === at ? changed(signature) : signature;
const replaced = (from: string, to: string) => (body: Buffer) =>
  Buffer.from(body.toString('latin1').replace(from, to), 'latin1');
const withCrc = (change: Partial<ChunkedRequest>): Partial<ChunkedRequest> => ({
  form: UNSIGNED,
  trailers: [CRC()],
  ...change,
});

describe('an aws-chunked PUT over an existing object', () => {
  it.each<[string, Partial<ChunkedRequest>, string]>([
    ...[0, 1, 2, 3].map((at): [string, Partial<ChunkedRequest>, string] => [
      `a wrong signature of chunk ${at} of 0 to 3`,
      { spoilSignature: spoilt(at) },
      'SignatureDoesNotMatch',
    ]),
    [
      'a wrong signature of the trailers',
      { form: SIGNED, trailers: [CRC()], spoilSignature: spoilt('trailer') },
      'SignatureDoesNotMatch',
    ],
    ['a byte changed on the way', { spoilBody: replaced('aaaa', 'aaab') }, 'SignatureDoesNotMatch'],
    [
      'chunks without signatures',
      { spoilBody: replaced(';chunk-signature=', ';nothing=') },
      'IncompleteBody',
    ],
    ...ALGORITHMS.flatMap((algorithm): [string, Partial<ChunkedRequest>, string][] => [
      [
        `another ${algorithm} in a trailer`,
        { form: UNSIGNED, trailers: [trailer(algorithm, OLD)] },
        'BadDigest',
      ],
      [
        `another ${algorithm} in a signed trailer`,
        { form: SIGNED, trailers: [trailer(algorithm, OLD)] },
        'BadDigest',
      ],
    ]),
    [
      'a checksum trailer that is no base64',
      { form: UNSIGNED, trailers: [[CRC()[0], `${CRC()[1].slice(0, -1)}!`]] },
      'InvalidRequest',
    ],
    [
      'an announced trailer that does not come',
      { form: UNSIGNED, announced: ['x-amz-checksum-crc32'] },
      'MalformedTrailerError',
    ],
    [
      'a trailer that comes twice',
      withCrc({ trailers: [CRC(), CRC()], announced: [CRC()[0]] }),
      'MalformedTrailerError',
    ],
    [
      'a trailer that is no header',
      withCrc({ trailers: [CRC(), ['no header', 'x']], announced: [CRC()[0]] }),
      'MalformedTrailerError',
    ],
    [
      'an encryption trailer that was not announced',
      withCrc({ trailers: [CRC(), ['x-amz-server-side-encryption', 'aws:kms']], announced: [CRC()[0]] }),
      'InvalidArgument',
    ],
    ['trailers in a form without', { trailers: [CRC()], announced: [] }, 'IncompleteBody'],
    ['fewer bytes than announced', { decodedLength: BODY.length + 1 }, 'IncompleteBody'],
    ['more bytes than announced', { decodedLength: BODY.length - 1 }, 'IncompleteBody'],
    ['no length of the decoded body', { decodedLength: null }, 'MissingContentLength'],
    ['a decoded length over 5 GiB', { decodedLength: 6 * 2 ** 30 }, 'EntityTooLarge'],
    ['a chunk of 2^64 bytes', withCrc({ spoilBody: replaced('4e20', 'ffffffffffffffff') }), 'IncompleteBody'],
    ['a negative chunk', withCrc({ spoilBody: replaced('4e20', '-4e20') }), 'IncompleteBody'],
    ['a chunk size in other words', withCrc({ spoilBody: replaced('4e20', '0x4e20') }), 'IncompleteBody'],
    ['an empty chunk size', withCrc({ spoilBody: replaced('4e20', '') }), 'IncompleteBody'],
    [
      'a chunk size with an extension',
      withCrc({ spoilBody: replaced('4e20', '4e20;a=b') }),
      'IncompleteBody',
    ],
    ['a chunk size without CR', withCrc({ spoilBody: replaced('4e20\r\n', '4e20\n') }), 'IncompleteBody'],
    ['a chunk without its CR LF', withCrc({ spoilBody: replaced('a\r\n', 'a') }), 'IncompleteBody'],
    [
      'a chunk size of 5,000 zeros',
      withCrc({ spoilBody: replaced('4e20', '0'.repeat(5000)) }),
      'IncompleteBody',
    ],
    ['bytes behind its end', withCrc({ spoilBody: (body) => Buffer.concat([body, BODY]) }), 'IncompleteBody'],
    ['an end that is missing', withCrc({ spoilBody: (body) => body.subarray(0, -2) }), 'IncompleteBody'],
    ['nothing in it', withCrc({ spoilBody: () => Buffer.alloc(0), httpChunkBytes: 1 }), 'IncompleteBody'],
  ])('with %s is refused, and nothing is stored', async (_, request, code) => {
    const { server } = deployment;
    const before = storeState(server);
    const answer = await put(request);
    expect([answer.code, answer.cut]).toEqual([code, false]);
    await finished(server, answer);
    expect(storeState(server)).toEqual(before);
    expect(await server.metric('sealgate_s3_requests_in_flight')).toBe(0);
    const existing = await send(server, { method: 'GET', path: '/encrypted/existing' });
    expect(existing.body.equals(OLD)).toBe(true);
  });

  it.each<[string, Partial<ChunkedRequest>]>([
    ['signed chunks', {}],
    ['signed chunks and trailers', { form: SIGNED, trailers: [CRC()] }],
    ['an unsigned trailer', withCrc({})],
    ['leading zeros', withCrc({ spoilBody: replaced('4e20', '000000004e20') })],
    ['chunks of chunks', withCrc({ httpChunkBytes: 777 })],
    ['no chunk but the empty one', { chunks: [] }],
    ['one chunk for each byte', { chunks: Array.from({ length: 100 }, () => Buffer.from('x')) }],
  ])('with %s is stored as it was meant', async (what, request) => {
    const path = `/encrypted/${encodeURIComponent(what)}`;
    expect((await put({ path, ...request })).status).toBe(200);
    const read = await send(deployment.server, { method: 'GET', path });
    expect(read.body.equals(Buffer.concat([...(request.chunks ?? CHUNKS)]))).toBe(true);
  });
});
