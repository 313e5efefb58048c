import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { chunkCount, chunkRange, chunkSize, HEADER_BYTES, storedSize, TAG_BYTES } from './sizes.ts';

const chunkLog2 = fc.integer({ min: 16, max: 20 });
const size = fc.oneof(
  fc.nat({ max: 5 * 2 ** 40 }),
  fc
    .tuple(fc.nat({ max: 1000 }), chunkLog2, fc.integer({ min: -1, max: 1 }))
    .map(([n, c, d]) => Math.max(0, n * 2 ** c + d)),
);
const malformed = expect.objectContaining({ code: 'Malformed' });

test('a blob is as long as its header and its chunks, of which only the last may be short or, alone, empty', () => {
  fc.assert(
    fc.property(size, chunkLog2, (sizeBytes, log2) => {
      const count = chunkCount(sizeBytes, log2);
      const lastBytes = sizeBytes - (count - 1) * chunkSize(log2);
      expect(lastBytes).toBeLessThanOrEqual(chunkSize(log2));
      expect(lastBytes).toBeGreaterThan(count === 1 ? -1 : 0);
      expect(storedSize(sizeBytes, log2)).toBe(HEADER_BYTES + sizeBytes + count * TAG_BYTES);
    }),
  );
});

test('a longer plaintext never has a shorter blob, and no two sizes share one', () => {
  fc.assert(
    fc.property(size, chunkLog2, fc.integer({ min: 1, max: 200_000 }), (sizeBytes, log2, more) => {
      expect(storedSize(sizeBytes + more, log2)).toBeGreaterThan(storedSize(sizeBytes, log2));
    }),
  );
});

test('the chunks of a range begin and end as near to it as chunks can', () => {
  fc.assert(
    fc.property(
      size,
      chunkLog2,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat({ max: 5_000_000 }),
      (sizeBytes, log2, where, length) => {
        fc.pre(sizeBytes > 0);
        const first = Math.min(sizeBytes - 1, Math.floor(where * sizeBytes));
        const last = Math.min(sizeBytes - 1, first + length);
        const range = chunkRange(sizeBytes, log2, first, last);
        const step = chunkSize(log2) + TAG_BYTES;
        expect(range.firstChunk * chunkSize(log2) + range.skip).toBe(first);
        expect(range.skip).toBeLessThan(chunkSize(log2));
        expect(last).toBeGreaterThanOrEqual(range.lastChunk * chunkSize(log2));
        expect(last).toBeLessThan((range.lastChunk + 1) * chunkSize(log2));
        expect(range.storedStart).toBe(HEADER_BYTES + range.firstChunk * step);
        const isLastChunk = range.lastChunk === chunkCount(sizeBytes, log2) - 1;
        expect(range.storedEnd).toBe(
          isLastChunk ? storedSize(sizeBytes, log2) : HEADER_BYTES + (range.lastChunk + 1) * step,
        );
      },
    ),
  );
});

test.each([
  [0, 15],
  [0, 21],
  [0, 16.5],
  [-1, 17],
  [1.5, 17],
  [Number.MAX_SAFE_INTEGER, 17],
  [Number.POSITIVE_INFINITY, 17],
])('%d bytes in chunks of 2^%d are refused', (sizeBytes, log2) => {
  expect(() => chunkCount(sizeBytes, log2)).toThrow(malformed);
});

test.each([
  [0, 0, 0],
  [10, 0, 10],
  [10, 5, 4],
  [10, -1, 4],
  [10, 0.5, 4],
  [10, 0, 4.5],
])('of %d bytes the range %d-%d is refused', (sizeBytes, first, last) => {
  expect(() => chunkRange(sizeBytes, 17, first, last)).toThrow(malformed);
});
