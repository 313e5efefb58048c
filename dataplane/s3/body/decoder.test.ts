import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PayloadForm } from '../request.ts';
import { chunksOf, SIGNING, signedBody, unsignedBody } from './chunkEncoder.testkit.ts';
import {
  CRC,
  codeOf,
  type Decoded,
  decode,
  SIGNED,
  SIGNED_TRAILER,
  UNSIGNED,
  UNSIGNED_TRAILER,
} from './decode.testkit.ts';
import { createBodyDecoder } from './decoder.ts';

describe('every form of body', () => {
  const content = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 12 });
  const forms: [
    name: string,
    (content: Buffer, sizes: readonly number[]) => { payload: PayloadForm; wire: Buffer },
  ][] = [
    ['unsigned', (content) => ({ payload: UNSIGNED, wire: content })],
    [
      'sha256',
      (content) => ({
        payload: { kind: 'sha256', expected: createHash('sha256').update(content).digest() },
        wire: content,
      }),
    ],
    ['signed chunks', (content, sizes) => ({ payload: SIGNED, wire: signedBody(chunksOf(content, sizes)) })],
    [
      'signed chunks and trailer',
      (content, sizes) => ({ payload: SIGNED_TRAILER, wire: signedBody(chunksOf(content, sizes), [CRC]) }),
    ],
    [
      'unsigned chunks and trailer',
      (content, sizes) => ({
        payload: UNSIGNED_TRAILER,
        wire: unsignedBody(chunksOf(content, sizes), [CRC]),
      }),
    ],
  ];

  it.each(forms)('%s: decodes alike wherever the wire and the chunks are cut', (_name, make) => {
    fc.assert(
      fc.property(content, sizes, sizes, (content, chunkSizes, splits) => {
        const { payload, wire } = make(content, chunkSizes);
        const trailers = payload.kind === 'aws-chunked' && payload.trailer ? [CRC] : [];
        expect(decode(payload, wire, { splits, decodedLength: content.length })).toEqual({
          content,
          trailers,
        });
      }),
    );
  });

  it.each(forms)('%s: decodes byte by byte', (_name, make) => {
    const content = Buffer.from('The quick brown fox');
    const { payload, wire } = make(content, [4, 9]);
    expect(decode(payload, wire, { splits: Array.from(wire, () => 1) }).content).toEqual(content);
  });

  it.each(forms)('%s: takes an empty body', (_name, make) => {
    const { payload, wire } = make(Buffer.alloc(0), []);
    expect(decode(payload, wire, { decodedLength: 0 }).content).toHaveLength(0);
  });

  it.each(forms)('%s: hands out slices of what came in, not copies', (_name, make) => {
    const { payload, wire } = make(Buffer.from('abcdefgh'), [3]);
    const slices = createBodyDecoder(payload, null, []).push(wire);
    expect(slices.length).toBeGreaterThan(0);
    for (const slice of slices) expect(slice.buffer).toBe(wire.buffer);
  });

  it.each(forms)('%s: is incomplete when it is shorter or longer than announced', (_name, make) => {
    const { payload, wire } = make(Buffer.from('abcdefgh'), [3]);
    expect(codeOf(() => decode(payload, wire, { decodedLength: 8 }))).toBe('accepted');
    expect(codeOf(() => decode(payload, wire, { decodedLength: 9 }))).toBe('IncompleteBody');
    expect(codeOf(() => decode(payload, wire, { decodedLength: 7 }))).toBe('IncompleteBody');
  });

  it.each(forms.slice(1))('%s: is never accepted when it was cut short', (_name, make) => {
    const { payload, wire } = make(Buffer.from('abcdefgh'), [3]);
    for (let length = 0; length < wire.length; length++) {
      const run = (): unknown => decode(payload, wire.subarray(0, length));
      expect(codeOf(run)).toBe(payload.kind === 'sha256' ? 'XAmzContentSHA256Mismatch' : 'IncompleteBody');
    }
  });

  it.each(forms.slice(2))('%s: takes nothing behind its end', (_name, make) => {
    const { payload, wire } = make(Buffer.from('abcdefgh'), [3]);
    const run = (): unknown => decode(payload, Buffer.concat([wire, Buffer.from('x')]));
    expect(codeOf(run)).toBe('IncompleteBody');
  });
});

describe('a body with its SHA-256', () => {
  it('is refused when its bytes are others', () => {
    const expected = createHash('sha256').update('abc').digest();
    expect(codeOf(() => decode({ kind: 'sha256', expected }, Buffer.from('abc')))).toBe('accepted');
    expect(codeOf(() => decode({ kind: 'sha256', expected }, Buffer.from('abd')))).toBe(
      'XAmzContentSHA256Mismatch',
    );
  });
});

describe('signed chunks', () => {
  const chunks = [Buffer.from('first'), Buffer.from('second')];

  it('are refused when any bit of the wire was changed, but for letter case that means nothing', () => {
    const wire = signedBody(chunks, [CRC]);
    const seen = new Set<string>();
    for (let i = 0; i < wire.length; i++) {
      for (const bit of [1, 2, 4, 8, 16, 64, 128]) {
        const changed = Buffer.from(wire);
        changed[i] = (changed[i] ?? 0) ^ bit;
        let decoded: Decoded | null = null;
        const code = codeOf(() => {
          decoded = decode(SIGNED_TRAILER, changed, { expectedTrailers: [CRC[0]] });
        });
        if (code === 'accepted') expect(decoded).toEqual({ content: Buffer.concat(chunks), trailers: [CRC] });
        seen.add(code);
      }
    }
    expect([...seen].sort()).toEqual([
      'IncompleteBody',
      'MalformedTrailerError',
      'SignatureDoesNotMatch',
      'accepted',
    ]);
  });

  it('tell which string was signed', () => {
    const wire = Buffer.from(signedBody(chunks).toString('latin1').replace('first', 'fist!'));
    try {
      decode(SIGNED, wire);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'SignatureDoesNotMatch',
        details: { StringToSign: expect.stringMatching(/^AWS4-HMAC-SHA256-PAYLOAD\n20130524T000000Z\n/) },
      });
    }
  });

  it('are refused in another order', () => {
    const [size1, size2] = ['5;chunk', '6;chunk'];
    const text = signedBody(chunks).toString('latin1');
    const cut = text.indexOf(`\r\n${size2}`) + 2;
    const end = text.indexOf('0;chunk', cut);
    expect(text.startsWith(size1)).toBe(true);
    const swapped = text.slice(cut, end) + text.slice(0, cut) + text.slice(end);
    expect(codeOf(() => decode(SIGNED, Buffer.from(text, 'latin1')))).toBe('accepted');
    expect(codeOf(() => decode(SIGNED, Buffer.from(swapped, 'latin1')))).toBe('SignatureDoesNotMatch');
  });

  it('fail as soon as a wrong chunk is whole, before its successor', () => {
    const wire = signedBody(chunks);
    const decoder = createBodyDecoder(
      { kind: 'aws-chunked', trailer: false, signing: { ...SIGNING, seedSignature: '00' } },
      null,
      [],
    );
    const whole = wire.indexOf('first') + 5;
    decoder.push(wire.subarray(0, whole - 1));
    expect(codeOf(() => decoder.push(wire.subarray(whole - 1, whole)))).toBe('SignatureDoesNotMatch');
  });

  it('do not pass for those of a form with a trailer, nor the other way round', () => {
    expect(codeOf(() => decode(SIGNED_TRAILER, signedBody(chunks)))).toBe('MalformedTrailerError');
    expect(codeOf(() => decode(SIGNED, signedBody(chunks, [CRC])))).toBe('IncompleteBody');
    expect(codeOf(() => decode(SIGNED, unsignedBody(chunks)))).toBe('IncompleteBody');
    expect(codeOf(() => decode(UNSIGNED_TRAILER, signedBody(chunks)))).toBe('IncompleteBody');
  });
});

describe('the framing of chunks', () => {
  it.each([
    ['no size', '\r\n'],
    ['a size that is not hex', 'g\r\n'],
    ['a negative size', '-1\r\n'],
    ['a size with a blank', ' 7\r\ncontent\r\n0\r\n\r\n'],
    ['a size of seventeen digits', `${'0'.repeat(16)}7\r\ncontent\r\n0\r\n\r\n`],
    ['an extension', '7;a=b\r\ncontent\r\n0\r\n\r\n'],
    ['a line that ends in LF', '7\ncontent\r\n0\r\n\r\n'],
    ['content longer than its size', '6\r\ncontent\r\n0\r\n\r\n'],
    ['content shorter than its size', '8\r\ncontent\r\n0\r\n\r\n'],
  ])('is incomplete with %s', (_name, text) => {
    expect(codeOf(() => decode(UNSIGNED_TRAILER, Buffer.from(text)))).toBe('IncompleteBody');
  });

  it('takes sizes in both letter cases and with leading zeros', () => {
    const wire = Buffer.from(`0A\r\n0123456789\r\n00b\r\n0123456789a\r\n0\r\n\r\n`);
    expect(decode(UNSIGNED_TRAILER, wire).content.toString()).toBe('01234567890123456789a');
  });

  it('takes a chunk of 5 GiB and none above', () => {
    const above = (): unknown =>
      createBodyDecoder(UNSIGNED_TRAILER, null, []).push(Buffer.from('140000001\r\n'));
    expect(codeOf(above)).toBe('IncompleteBody');
    expect(createBodyDecoder(UNSIGNED_TRAILER, null, []).push(Buffer.from('140000000\r\nab'))).toEqual([
      Buffer.from('ab'),
    ]);
  });

  it('refuses a chunk that goes beyond the announced length before any of it came', () => {
    expect(codeOf(() => createBodyDecoder(UNSIGNED_TRAILER, 9, []).push(Buffer.from('a\r\n')))).toBe(
      'IncompleteBody',
    );
  });

  it.each([1, 4096])('gives up on an endless line that comes in pieces of %i bytes', (size) => {
    const decoder = createBodyDecoder(UNSIGNED_TRAILER, null, []);
    const piece = Buffer.alloc(size, '0');
    let taken = 0;
    const code = codeOf(() => {
      for (; taken < 1_000_000; taken += size) decoder.push(piece);
    });
    expect(code).toBe('IncompleteBody');
    expect(taken).toBeLessThanOrEqual(4096);
  });
});
