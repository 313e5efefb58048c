import { createSecretKey } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlobFacts, BlobOpener, BlobSealer, openWholeBlob } from './blob.ts';
import { newDataKey } from './dataKey.ts';
import { chunkCount, chunkRange, chunkSize, HEADER_BYTES, storedSize, TAG_BYTES } from './sizes.ts';

const LOG2 = 16;
const CHUNK = chunkSize(LOG2);
const STEP = CHUNK + TAG_BYTES;
const integrity = expect.objectContaining({ name: 'FormatError', code: 'Integrity' });
const malformed = expect.objectContaining({ name: 'FormatError', code: 'Malformed' });
const dataKey = createSecretKey(Buffer.alloc(32, 5));
const fixedSalt = () => Buffer.alloc(32, 9);

/** Sizes around the borders of chunks. */
const size = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: -2, max: 2 })).map(([n, d]) => n * CHUNK + d),
);
const cuts = fc.array(fc.integer({ min: 0, max: 3 * CHUNK + 2 }), { maxLength: 6 });

function plaintextOf(sizeBytes: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, (_, i) => i % 253));
}

function piecesOf(plaintext: Buffer, cuts: readonly number[]): Buffer[] {
  const borders = [
    0,
    ...cuts.map((cut) => Math.min(cut, plaintext.length)).sort((a, b) => a - b),
    plaintext.length,
  ];
  return borders.slice(1).map((end, i) => plaintext.subarray(borders[i], end));
}

function sealAll(pieces: readonly Buffer[], plaintextSize?: number): { stored: Buffer; facts: BlobFacts } {
  const sealer = new BlobSealer(dataKey, {
    chunkLog2: LOG2,
    random: fixedSalt,
    ...(plaintextSize === undefined ? {} : { plaintextSize }),
  });
  const stored: Uint8Array[] = [sealer.header()];
  const storedSoFar = () => stored.reduce((sum, buffer) => sum + buffer.length, 0);
  for (const piece of pieces) {
    stored.push(...sealer.update(piece));
    expect(sealer.storedBytes).toBe(storedSoFar());
  }
  stored.push(...sealer.final());
  expect(sealer.storedBytes).toBe(storedSoFar());
  return {
    stored: Buffer.concat(stored),
    facts: { suite: 1, chunkLog2: LOG2, salt: sealer.salt, plaintextSize: sealer.plaintextBytes },
  };
}

function seal(sizeBytes: number) {
  return sealAll([plaintextOf(sizeBytes)], sizeBytes);
}

describe('BlobSealer', () => {
  test('gives the same blob for every way to cut the plaintext, its size known or not', () => {
    fc.assert(
      fc.property(size, cuts, (sizeBytes, cuts) => {
        const plaintext = plaintextOf(sizeBytes);
        const { stored, facts } = seal(sizeBytes);
        expect(stored.length).toBe(storedSize(sizeBytes, LOG2));
        expect(openWholeBlob(dataKey, facts, stored).equals(plaintext)).toBe(true);
        const pieces = piecesOf(plaintext, cuts);
        expect(sealAll(pieces, sizeBytes).stored.equals(stored)).toBe(true);
        expect(sealAll(pieces).stored.equals(stored)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('holds back nothing when it knows the size, and one chunk at most when it does not', () => {
    const known = new BlobSealer(dataKey, { chunkLog2: LOG2, plaintextSize: CHUNK + 10 });
    known.update(Buffer.alloc(100));
    expect(known.storedBytes).toBe(HEADER_BYTES + 100);
    const unknown = new BlobSealer(dataKey, { chunkLog2: LOG2 });
    expect(unknown.update(Buffer.alloc(CHUNK))).toEqual([]);
    unknown.update(Buffer.alloc(1));
    expect(unknown.storedBytes).toBe(HEADER_BYTES + STEP);
    expect(unknown.plaintextBytes).toBe(CHUNK + 1);
  });

  test('may be given pieces of a buffer that is used again', () => {
    const plaintext = plaintextOf(2 * CHUNK + 5);
    const reused = Buffer.alloc(1000);
    const sealer = new BlobSealer(dataKey, { chunkLog2: LOG2 });
    const stored: Uint8Array[] = [sealer.header()];
    for (let at = 0; at < plaintext.length; at += reused.length) {
      const length = plaintext.copy(reused, 0, at);
      stored.push(...sealer.update(reused.subarray(0, length)));
      reused.fill(0);
    }
    stored.push(...sealer.final());
    const facts = { suite: 1, chunkLog2: LOG2, salt: sealer.salt, plaintextSize: plaintext.length };
    expect(openWholeBlob(dataKey, facts, Buffer.concat(stored)).equals(plaintext)).toBe(true);
  });

  test('draws a new salt for every blob, and so never the same bytes', () => {
    const [a, b] = [
      new BlobSealer(dataKey, { chunkLog2: LOG2 }),
      new BlobSealer(dataKey, { chunkLog2: LOG2 }),
    ];
    expect(a.salt.equals(b.salt)).toBe(false);
    expect(a.header().subarray(40).equals(b.header().subarray(40))).toBe(false);
  });

  test('refuses more and fewer bytes than were announced', () => {
    const more = new BlobSealer(dataKey, { chunkLog2: LOG2, plaintextSize: 10 });
    more.update(Buffer.alloc(10));
    expect(() => more.update(Buffer.alloc(1))).toThrow(malformed);
    const fewer = new BlobSealer(dataKey, { chunkLog2: LOG2, plaintextSize: 10 });
    fewer.update(Buffer.alloc(9));
    expect(() => fewer.final()).toThrow(malformed);
  });

  test.each([{ plaintextSize: 3 }, {}])('refuses to go on after its end: %o', (options) => {
    const sealer = new BlobSealer(dataKey, { chunkLog2: LOG2, ...options });
    sealer.update(Buffer.alloc(3));
    sealer.final();
    expect(() => sealer.update(Buffer.alloc(0))).toThrow(malformed);
    expect(() => sealer.final()).toThrow(malformed);
  });

  test.each([
    { chunkLog2: 15 },
    { chunkLog2: 21 },
    { chunkLog2: 17, plaintextSize: -1 },
    { chunkLog2: 17, plaintextSize: 0.5 },
  ])('refuses %o', (options) => {
    expect(() => new BlobSealer(dataKey, options)).toThrow(malformed);
  });
});

describe('BlobOpener', () => {
  test('gives any range from the chunks that chunkRange() names, and nothing else of the blob', () => {
    const whole = 3 * CHUNK + 33;
    const { stored, facts } = seal(whole);
    const plaintext = plaintextOf(whole);
    fc.assert(
      fc.property(fc.nat({ max: whole - 1 }), fc.nat({ max: whole - 1 }), (a, b) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)];
        const range = chunkRange(whole, LOG2, first, last);
        const read = stored.subarray(range.storedStart, range.storedEnd);
        const opener = new BlobOpener(dataKey, facts);
        opener.checkHeader(stored.subarray(0, HEADER_BYTES));
        const chunks: Buffer[] = [];
        for (let i = range.firstChunk; i <= range.lastChunk; i++) {
          const at = (i - range.firstChunk) * STEP;
          chunks.push(opener.openChunk(i, read.subarray(at, at + STEP)));
        }
        const opened = Buffer.concat(chunks).subarray(range.skip, range.skip + last - first + 1);
        expect(opened.equals(plaintext.subarray(first, last + 1))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  test('opens no chunk before the header was checked', () => {
    const { stored, facts } = seal(10);
    expect(() => new BlobOpener(dataKey, facts).openChunk(0, stored.subarray(HEADER_BYTES))).toThrow(
      malformed,
    );
  });

  test('opens no chunk after the header was refused', () => {
    const { stored, facts } = seal(10);
    const opener = new BlobOpener(dataKey, facts);
    expect(() => opener.checkHeader(stored.subarray(1))).toThrow(integrity);
    expect(() => opener.checkHeader(stored.subarray(0, HEADER_BYTES - 1))).toThrow(integrity);
    expect(() => opener.openChunk(0, stored.subarray(HEADER_BYTES))).toThrow(malformed);
  });

  test.each([-1, 0.5, 2])('refuses chunk %d of two', (index) => {
    const { stored, facts } = seal(CHUNK + 1);
    const opener = new BlobOpener(dataKey, facts);
    opener.checkHeader(stored);
    expect(() => opener.openChunk(index, stored.subarray(HEADER_BYTES, HEADER_BYTES + STEP))).toThrow(
      malformed,
    );
  });

  test('refuses each chunk in every place but its own', () => {
    const { stored, facts } = seal(4 * CHUNK);
    const opener = new BlobOpener(dataKey, facts);
    opener.checkHeader(stored);
    for (let place = 0; place < 4; place++) {
      for (let from = 0; from < 4; from++) {
        const chunk = stored.subarray(HEADER_BYTES + from * STEP, HEADER_BYTES + (from + 1) * STEP);
        if (from === place) expect(opener.openChunk(place, chunk).length).toBe(CHUNK);
        else expect(() => opener.openChunk(place, chunk)).toThrow(integrity);
      }
    }
  });

  test.each([0, 1, 4, 15, 16, 25, 27])('refuses a chunk of 10 bytes stored as %d', (length) => {
    const { stored, facts } = seal(10);
    const opener = new BlobOpener(dataKey, facts);
    opener.checkHeader(stored);
    expect(() =>
      opener.openChunk(0, Buffer.concat([stored, Buffer.alloc(8)]).subarray(72, 72 + length)),
    ).toThrow(integrity);
  });

  test.each([{ suite: 2 }, { chunkLog2: 15 }, { salt: Buffer.alloc(31) }, { plaintextSize: -1 }])(
    'refuses facts with %o',
    (wrong) => {
      const facts = { suite: 1, chunkLog2: LOG2, salt: Buffer.alloc(32), plaintextSize: 1, ...wrong };
      expect(() => new BlobOpener(dataKey, facts)).toThrow(malformed);
    },
  );
});

describe('a blob that was tampered with', () => {
  const opens =
    (facts: BlobFacts, stored: Uint8Array, key = dataKey) =>
    () =>
      openWholeBlob(key, facts, stored);

  test('does not open with any bit flipped', () => {
    const small = seal(20);
    for (let bit = 0; bit < small.stored.length * 8; bit++) {
      expect(opens(small.facts, withFlippedBit(small.stored, bit)), `bit ${bit}`).toThrow(integrity);
    }
    const large = seal(2 * CHUNK + 7);
    fc.assert(
      fc.property(fc.nat({ max: large.stored.length * 8 - 1 }), (bit) => {
        expect(opens(large.facts, withFlippedBit(large.stored, bit))).toThrow(integrity);
      }),
    );
  });

  test('does not open cut or extended by any number of bytes, whatever the record says of its size', () => {
    fc.assert(
      fc.property(
        size,
        fc.integer({ min: 1, max: 2 * STEP }),
        fc.boolean(),
        fc.boolean(),
        (sizeBytes, bytes, isCut, sizeToo) => {
          const { stored, facts } = seal(sizeBytes);
          const altered = isCut
            ? stored.subarray(0, Math.max(0, stored.length - bytes))
            : Buffer.concat([stored, Buffer.alloc(bytes)]);
          const count = Math.max(1, Math.ceil((altered.length - HEADER_BYTES) / STEP));
          const plaintextSize = sizeToo
            ? Math.max(0, altered.length - HEADER_BYTES - count * TAG_BYTES)
            : sizeBytes;
          expect(opens({ ...facts, plaintextSize }, altered)).toThrow(integrity);
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([1, 2, 3])(
    'does not open cut after %i of its four chunks, not even with a record that says so',
    (kept) => {
      const { stored, facts } = seal(3 * CHUNK + 9);
      const cut = stored.subarray(0, HEADER_BYTES + kept * STEP);
      expect(opens({ ...facts, plaintextSize: kept * CHUNK }, cut)).toThrow(integrity);
    },
  );

  test('does not open with two chunks exchanged, or one put twice', () => {
    const { stored, facts } = seal(4 * CHUNK);
    const chunk = (i: number) => stored.subarray(HEADER_BYTES + i * STEP, HEADER_BYTES + (i + 1) * STEP);
    const place = fc.nat({ max: chunkCount(4 * CHUNK, LOG2) - 1 });
    fc.assert(
      fc.property(place, place, fc.boolean(), (a, b, isExchange) => {
        fc.pre(a !== b);
        const order = [0, 1, 2, 3].map((i) => (i === a ? b : i === b && isExchange ? a : i));
        expect(opens(facts, Buffer.concat([stored.subarray(0, HEADER_BYTES), ...order.map(chunk)]))).toThrow(
          integrity,
        );
      }),
      { numRuns: 24 },
    );
  });

  test('does not open as a mixture of two blobs of one data key', () => {
    const sealer = new BlobSealer(dataKey, { chunkLog2: LOG2, plaintextSize: 20 });
    const other = Buffer.concat([sealer.header(), ...sealer.update(plaintextOf(20)), ...sealer.final()]);
    const { stored, facts } = seal(20);
    expect(opens(facts, other)).toThrow(integrity);
    expect(opens(facts, Buffer.concat([stored.subarray(0, 72), other.subarray(72)]))).toThrow(integrity);
    expect(opens({ ...facts, salt: sealer.salt }, stored)).toThrow(integrity);
  });

  test('does not open under other facts or another data key', () => {
    const { stored, facts } = seal(CHUNK + 5);
    expect(opens(facts, stored)).not.toThrow();
    expect(opens(facts, stored, newDataKey())).toThrow(integrity);
    expect(opens({ ...facts, chunkLog2: 17 }, stored)).toThrow(integrity);
    fc.assert(
      fc.property(fc.nat({ max: 255 }), (bit) => {
        expect(opens({ ...facts, salt: withFlippedBit(facts.salt, bit) }, stored)).toThrow(integrity);
      }),
    );
    for (const plaintextSize of [0, 5, CHUNK, CHUNK + 4, CHUNK + 6, 2 * CHUNK]) {
      expect(opens({ ...facts, plaintextSize }, stored)).toThrow(integrity);
    }
  });
});

function withFlippedBit(bytes: Uint8Array, bit: number): Buffer {
  const altered = Buffer.from(bytes);
  const at = Math.floor(bit / 8);
  altered.writeUInt8(altered.readUInt8(at) ^ (1 << (bit % 8)), at);
  return altered;
}
