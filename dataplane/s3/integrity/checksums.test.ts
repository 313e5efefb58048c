import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ChecksumAlgorithm } from '../../metadata/metadata.ts';
import { compositeChecksum, createChecksum } from './checksums.ts';
import { type CrcAlgorithm, combineCrc } from './combineCrc.ts';

const CRCS: readonly CrcAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME'];

function digest(algorithm: ChecksumAlgorithm, ...pieces: readonly Uint8Array[]): Buffer {
  const checksum = createChecksum(algorithm);
  for (const piece of pieces) checksum.update(piece);
  return checksum.digest();
}

function hex(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  return digest(algorithm, bytes).toString('hex');
}

/** Bit by bit, as the definitions say it: the reflected polynomial, all ones before and after. */
function slowCrc(algorithm: CrcAlgorithm, bytes: Uint8Array): string {
  const { width, polynomial } = {
    CRC32: { width: 32n, polynomial: 0xedb88320n },
    CRC32C: { width: 32n, polynomial: 0x82f63b78n },
    CRC64NVME: { width: 64n, polynomial: 0x9a6c9329ac4bc9b5n },
  }[algorithm];
  const ones = (1n << width) - 1n;
  let register = ones;
  for (const byte of bytes) {
    register ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) register = (register >> 1n) ^ (register & 1n ? polynomial : 0n);
  }
  return (register ^ ones).toString(16).padStart(Number(width) / 4, '0');
}

describe('checksums', () => {
  const ascending = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
  it.each<[ChecksumAlgorithm, Buffer, string]>([
    // The check values of the catalogue of parametrised CRC algorithms.
    ['CRC32', Buffer.from('123456789'), 'cbf43926'],
    ['CRC32C', Buffer.from('123456789'), 'e3069283'],
    ['CRC64NVME', Buffer.from('123456789'), 'ae8b14860a799888'],
    // RFC 3720, appendix B.4; the bytes there are in the order of the wire, least significant first.
    ['CRC32C', Buffer.alloc(32), '8a9136aa'],
    ['CRC32C', Buffer.alloc(32, 0xff), '62a8ab43'],
    ['CRC32C', ascending, '46dd794e'],
    ['CRC32C', Buffer.from(ascending).reverse(), '113fdb5c'],
    // NVM Command Set Specification, "64b CRC test cases": 4 KiB of zeros, of ones, ascending, descending.
    ['CRC64NVME', Buffer.alloc(4096), '6482d367eb22b64e'],
    ['CRC64NVME', Buffer.alloc(4096, 0xff), 'c0ddba7302eca3ac'],
    ['CRC64NVME', Buffer.from(Array.from({ length: 4096 }, (_, i) => i & 255)), '3e729f5f6750449c'],
    ['CRC64NVME', Buffer.from(Array.from({ length: 4096 }, (_, i) => 255 - (i & 255))), '9a2df64b8e9e517e'],
    // The body of AWS's chunked upload example and its published trailer, sOO8/Q==.
    ['CRC32C', Buffer.alloc(66560, 'a'), 'b0e3bcfd'],
    ['SHA1', Buffer.from('abc'), 'a9993e364706816aba3e25717850c26c9cd0d89d'],
    ['SHA256', Buffer.alloc(0), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ])('%s has its published value', (algorithm, bytes, expected) => {
    expect(hex(algorithm, bytes)).toBe(expected);
  });

  it.each(CRCS)('%s of nothing is zero', (algorithm) => {
    expect(hex(algorithm, Buffer.alloc(0))).toMatch(/^0+$/);
  });

  it.each(CRCS)('%s is what its definition says, at every alignment and length', (algorithm) => {
    const bytes = fc.uint8Array({ maxLength: 80 });
    fc.assert(
      fc.property(bytes, fc.nat({ max: 8 }), (bytes, offset) => {
        const shifted = new Uint8Array(new ArrayBuffer(offset + bytes.length), offset);
        shifted.set(bytes);
        expect(hex(algorithm, shifted)).toBe(slowCrc(algorithm, bytes));
      }),
    );
  });

  it.each([...CRCS, 'SHA1', 'SHA256'] as const)('%s is the same however the bytes are cut', (algorithm) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (pieces) => {
        expect(digest(algorithm, ...pieces)).toEqual(digest(algorithm, Buffer.concat(pieces)));
      }),
    );
  });
});

describe('combined CRCs', () => {
  it.each(CRCS)('%s of the parts is that of the whole', (algorithm) => {
    const part = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(part, part, (a, b) => {
        const combined = combineCrc(algorithm, digest(algorithm, a), digest(algorithm, b), b.length);
        expect(combined).toEqual(digest(algorithm, a, b));
      }),
    );
  });

  it.each(CRCS)('%s is associative over lengths up to 50 TiB', (algorithm) => {
    const size = algorithm === 'CRC64NVME' ? 8 : 4;
    const crc = fc.uint8Array({ minLength: size, maxLength: size });
    const length = fc.integer({ min: 0, max: 25 * 2 ** 40 });
    fc.assert(
      fc.property(crc, crc, crc, length, length, (a, b, c, lengthB, lengthC) => {
        const left = combineCrc(algorithm, combineCrc(algorithm, a, b, lengthB), c, lengthC);
        const right = combineCrc(algorithm, a, combineCrc(algorithm, b, c, lengthC), lengthB + lengthC);
        expect(left).toEqual(right);
      }),
    );
  });

  it.each(CRCS)('%s takes lengths beyond 32 bits', (algorithm) => {
    // 2^33 + 3 zero bytes, put together by doubling.
    let zeros = digest(algorithm, Buffer.alloc(1));
    let length = 1;
    for (; length < 2 ** 33; length *= 2) zeros = combineCrc(algorithm, zeros, zeros, length);
    const three = digest(algorithm, Buffer.alloc(3));
    const start = digest(algorithm, Buffer.from('start'));
    const oneByOne = combineCrc(algorithm, combineCrc(algorithm, start, zeros, length), three, 3);
    const atOnce = combineCrc(algorithm, start, combineCrc(algorithm, zeros, three, 3), length + 3);
    expect(atOnce).toEqual(oneByOne);
    expect(atOnce).not.toEqual(combineCrc(algorithm, start, combineCrc(algorithm, zeros, three, 3), 3));
  });
});

describe('composite checksums', () => {
  it('are the checksum of the digests of the parts', () => {
    const parts = [Buffer.from('one'), Buffer.from('two')].map((part) =>
      createHash('sha256').update(part).digest(),
    );
    expect(compositeChecksum('SHA256', parts)).toEqual(
      createHash('sha256').update(Buffer.concat(parts)).digest(),
    );
    expect(compositeChecksum('CRC32', []).toString('hex')).toBe('00000000');
  });
});
