import type { Json, JsonObject } from './operation.ts';
import { accept, changed, flipped, named32, refuse, utf8, type VectorFile } from './vectorFile.ts';

const KIB = 1024;
const HEADER_BITS = 72 * 8;

/** Whole blobs, and every way in which one can be wrong. */
export function blobVectors(): VectorFile {
  const sealing = { dataKey: named32('data key'), salt: named32('blob salt'), chunkLog2: 16 };
  const small = (name: string, plaintext: string) => accept(name, 'sealBlob', { ...sealing, plaintext });
  const large = (name: string, plaintextSize: number, chunkLog2: number) =>
    accept(name, 'describeBlob', { ...sealing, chunkLog2, plaintextSize });
  const altered = (plaintextSize: number, mutations: Json, facts: JsonObject = {}): JsonObject => ({
    sealed: { ...sealing, plaintextSize },
    mutations,
    opened: { ...sealing, suite: 1, plaintextSize, ...facts },
  });
  const three = 2 * 64 * KIB + 100;
  const chunk = 64 * KIB + 16;
  const wrong = (name: string, ...mutations: JsonObject[]) =>
    refuse(name, 'openAltered', altered(three, mutations));
  const wrongFacts = (name: string, facts: JsonObject) =>
    refuse(name, 'openAltered', altered(three, [], facts));
  const cutTo = (name: string, from: number, keepBytes: number, plaintextSize: number) =>
    refuse(name, 'openAltered', altered(from, [{ keepBytes }], { plaintextSize }));
  return {
    about: 'Blob: docs/format.md, "Blob". Long plaintexts: byte i is i mod 251',
    cases: [
      small('empty', ''),
      small('one byte', '41'),
      small('17 bytes', utf8('seventeen bytes!!')),
      large('one byte less than a chunk', 64 * KIB - 1, 16),
      large('exactly one chunk', 64 * KIB, 16),
      large('one byte more than a chunk', 64 * KIB + 1, 16),
      large('exactly two chunks', 128 * KIB, 16),
      large('three chunks', three, 16),
      large('one chunk of the default size and a byte', 128 * KIB + 1, 17),
      large('chunks of 1 MiB', 1024 * KIB + 5, 20),
      accept('three chunks, opened', 'openAltered', altered(three, [])),
      accept('empty, opened', 'openAltered', altered(0, [])),
    ],
    mustFail: [
      ...[0, 24, 32, 40, 48, 56, 64, 319, 320, 575].map((flipBit) =>
        wrong(`header bit ${flipBit} flipped`, { flipBit }),
      ),
      wrong('first bit of the first chunk flipped', { flipBit: HEADER_BITS }),
      wrong('a bit of the first tag flipped', { flipBit: HEADER_BITS + 64 * KIB * 8 + 5 }),
      wrong('last bit of the last tag flipped', { flipBit: (72 + three + 48) * 8 - 1 }),
      wrong('last byte cut off', { keepBytes: 72 + three + 47 }),
      wrong('cut to nothing', { keepBytes: 0 }),
      wrong('cut to the header', { keepBytes: 72 }),
      wrong('last chunk cut off', { keepBytes: 72 + 2 * chunk }),
      wrong('a byte appended', { append: '00' }),
      wrong('first two chunks exchanged', { exchange: [72, 72 + chunk], exchangeBytes: chunk }),
      wrong('first chunk dropped', { removeFrom: 72, removeBytes: chunk }),
      wrongFacts('another data key', { dataKey: named32('other data key') }),
      wrongFacts('another salt in the record', { salt: flipped(sealing.salt, 1) }),
      wrongFacts('another chunk size in the record', { chunkLog2: 17 }),
      wrongFacts('one byte less in the record', { plaintextSize: three - 1 }),
      wrongFacts('one byte more in the record', { plaintextSize: three + 1 }),
      cutTo('cut between chunks, and the record too', three, 72 + 2 * chunk, 2 * 64 * KIB),
      cutTo('cut to an empty chunk, and the record too', 16, 72 + 16, 0),
      refuse('an unknown suite', 'openAltered', altered(three, [], { suite: 2 }), 'Malformed'),
      refuse('a chunk size below 2^16', 'openAltered', altered(three, [], { chunkLog2: 15 }), 'Malformed'),
      refuse(
        'a salt of 31 bytes',
        'openAltered',
        altered(three, [], { salt: sealing.salt.slice(2) }),
        'Malformed',
      ),
    ],
  };
}

/** Chunk counts and stored sizes. */
export function sizeVectors(): VectorFile {
  const fiveTiB = 5 * KIB ** 4;
  const size = (sizeBytes: number, chunkLog2: number) =>
    accept(`${sizeBytes} bytes in chunks of 2^${chunkLog2}`, 'sizes', { sizeBytes, chunkLog2 });
  const refuseSize = (sizeBytes: number, chunkLog2: number) =>
    refuse(`${sizeBytes} bytes in chunks of 2^${chunkLog2}`, 'sizes', { sizeBytes, chunkLog2 }, 'Malformed');
  const sizes = [0, 1, 65535, 65536, 65537, 131071, 131072, 131073, 4294967295, 4294967296, fiveTiB];
  return {
    about: 'Stored sizes: docs/format.md, "Blob"',
    cases: [...sizes.flatMap((sizeBytes) => [size(sizeBytes, 16), size(sizeBytes, 17)]), size(1048577, 20)],
    mustFail: [
      refuseSize(0, 15),
      refuseSize(0, 21),
      refuseSize(0, 16.5),
      refuseSize(-1, 17),
      refuseSize(0.5, 17),
      refuseSize(Number.MAX_SAFE_INTEGER, 17),
    ],
  };
}

/** Which chunks hold a range, and where they lie. */
export function rangeVectors(): VectorFile {
  const input = (sizeBytes: number, first: number, last: number) => ({
    sizeBytes,
    chunkLog2: 17,
    first,
    last,
  });
  const range = (sizeBytes: number, first: number, last: number) =>
    accept(`${first}-${last} of ${sizeBytes}`, 'range', input(sizeBytes, first, last));
  const refuseRange = (sizeBytes: number, first: number, last: number) =>
    refuse(`${first}-${last} of ${sizeBytes}`, 'range', input(sizeBytes, first, last), 'Malformed');
  return {
    about: 'Ranges, both ends inclusive; storedEnd is exclusive: docs/format.md, "Blob"',
    cases: [
      range(1, 0, 0),
      range(131072, 0, 131071),
      range(131073, 0, 131071),
      range(131073, 131071, 131072),
      range(131073, 131072, 131072),
      range(400000, 131072, 262143),
      range(400000, 399999, 399999),
      range(400000, 0, 399999),
      range(5 * KIB ** 4, 5 * KIB ** 4 - 1, 5 * KIB ** 4 - 1),
      accept('in chunks of 2^16', 'range', changed(input(400000, 70000, 140000), 'chunkLog2', 16)),
    ],
    mustFail: [
      refuseRange(0, 0, 0),
      refuseRange(10, 0, 10),
      refuseRange(10, 5, 4),
      refuseRange(10, -1, 4),
      refuseRange(10, 0, 0.5),
      refuseRange(10, 0.5, 1),
    ],
  };
}
