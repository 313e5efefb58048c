import { describe, expect, it } from 'vitest';
import { signedBody, unsignedBody } from './chunkEncoder.testkit.ts';
import { CRC, codeOf, decode, SIGNED, SIGNED_TRAILER, UNSIGNED, UNSIGNED_TRAILER } from './decode.testkit.ts';
import { createBodyDecoder } from './decoder.ts';

describe('trailers', () => {
  const chunks = [Buffer.from('content')];

  it('are all returned, announced or not, lower-case and trimmed', () => {
    const trailers = [CRC, ['X-Amz-Server-Side-Encryption', '  AES256\t'], ['a', '']] as const;
    const expected = [CRC, ['x-amz-server-side-encryption', 'AES256'], ['a', '']];
    const options = { expectedTrailers: [CRC[0].toUpperCase()] };
    expect(decode(UNSIGNED_TRAILER, unsignedBody(chunks, trailers), options).trailers).toEqual(expected);
  });

  it('are signed in the order of their names', () => {
    const trailers = [
      ['x-amz-b', '2'],
      ['X-Amz-A', '1'],
    ] as const;
    expect(decode(SIGNED_TRAILER, signedBody(chunks, trailers)).trailers).toEqual([
      ['x-amz-b', '2'],
      ['x-amz-a', '1'],
    ]);
  });

  it('may end in LF CR LF, as minio-go writes them', () => {
    const wire = signedBody(chunks, [CRC]).toString('latin1').replace('sOO8/Q==\r\n', 'sOO8/Q==\n\r\n');
    expect(decode(SIGNED_TRAILER, Buffer.from(wire, 'latin1')).trailers).toEqual([CRC]);
  });

  it('are refused when an announced one is missing', () => {
    const options = { expectedTrailers: [CRC[0]] };
    expect(codeOf(() => decode(UNSIGNED_TRAILER, unsignedBody(chunks, [CRC]), options))).toBe('accepted');
    expect(codeOf(() => decode(UNSIGNED_TRAILER, unsignedBody(chunks), options))).toBe(
      'MalformedTrailerError',
    );
  });

  it.each([UNSIGNED, SIGNED])('are refused before the body when the form %# has none', (payload) => {
    expect(codeOf(() => createBodyDecoder(payload, 0, ['x-amz-checksum-crc32']))).toBe(
      'MalformedTrailerError',
    );
  });

  it.each([
    ['a line without a colon', 'nonsense\r\n'],
    ['a name with a blank', 'x amz: 1\r\n'],
    ['an empty name', ': 1\r\n'],
  ])('are refused with %s', (_name, line) => {
    const wire = Buffer.from(`7\r\ncontent\r\n0\r\n${line}\r\n`);
    expect(codeOf(() => decode(UNSIGNED_TRAILER, wire))).toBe('MalformedTrailerError');
  });

  it('are refused behind their signature, where it does not cover them', () => {
    const wire = signedBody(chunks, [CRC]).toString('latin1').replace(/\r\n$/, 'x-amz-meta-a:1\r\n\r\n');
    expect(codeOf(() => decode(SIGNED_TRAILER, Buffer.from(wire, 'latin1')))).toBe('MalformedTrailerError');
  });

  it('are bounded in number', () => {
    const many = (count: number): Buffer =>
      unsignedBody(
        chunks,
        Array.from({ length: count }, (_, i) => [`a${i}`, ''] as const),
      );
    expect(codeOf(() => decode(UNSIGNED_TRAILER, many(64)))).toBe('accepted');
    expect(codeOf(() => decode(UNSIGNED_TRAILER, many(65)))).toBe('MalformedTrailerError');
  });
});
