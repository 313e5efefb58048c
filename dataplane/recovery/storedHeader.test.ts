import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlobSealer } from '../crypto/blob.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { chunkCount, storedSize } from '../crypto/sizes.ts';
import { impliedSize, readHeader } from './storedHeader.ts';

describe('the header of a blob', () => {
  const sealer = new BlobSealer(newDataKey(), { chunkLog2: 18, plaintextSize: 1 });
  const header = Buffer.from(sealer.header());

  it('is read as it was written', () => {
    const read = readHeader(header);
    expect(read).toMatchObject({ suite: 1, chunkLog2: 18, salt: sealer.salt });
    expect(read?.commitment).toEqual(header.subarray(40));
  });

  it.each([
    ['an empty file', Buffer.alloc(0)],
    ['a header that was cut', header.subarray(0, 71)],
    ['another format', Buffer.concat([Buffer.from('SGB\x02', 'latin1'), header.subarray(4)])],
    ['plain content', Buffer.alloc(100, 'x')],
  ])('is none in %s', (_name, bytes) => {
    expect(readHeader(bytes)).toBeNull();
  });
});

describe('the size that a stored length implies', () => {
  const chunkLog2 = fc.integer({ min: 16, max: 20 });

  it('is the plaintext size, for every size', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), chunkLog2, (size, log2) => {
        expect(impliedSize(storedSize(size, log2), log2)).toEqual({
          plaintextBytes: size,
          chunks: chunkCount(size, log2),
        });
      }),
    );
  });

  it('is only said of lengths that the format has', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 24), chunkLog2, (stored, log2) => {
        const implied = impliedSize(stored, log2);
        if (implied !== null) expect(storedSize(implied.plaintextBytes, log2)).toBe(stored);
      }),
    );
  });

  it.each([
    ['less than an empty blob', 87, 17],
    ['a last chunk of a tag alone', 72 + 131_072 + 16 + 16, 17],
    ['less than a tag after a full chunk', 72 + 131_072 + 16 + 5, 17],
    ['a chunk size that the format does not have', 1_000, 9],
  ])('is none for %s', (_name, stored, log2) => {
    expect(impliedSize(stored, log2)).toBeNull();
  });
});
