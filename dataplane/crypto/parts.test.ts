import { expect, test } from 'vitest';
import type { PartEntry } from '../metadata/metadata.ts';
import { newDataKey } from './dataKey.ts';
import { enc } from './encoding.ts';
import { newId } from './ids.ts';
import {
  decodeDigests,
  encodeDigests,
  type MacedPart,
  openDigests,
  type PartDigests,
  pageMac,
  partMac,
  sealDigests,
  verifyPageMac,
  verifyPartMac,
} from './parts.ts';

const dataKey = newDataKey();
const bodyId = newId();
const integrity = expect.objectContaining({ code: 'Integrity' });
const malformed = expect.objectContaining({ code: 'Malformed' });
const salt = Buffer.alloc(32, 1);
const md5 = Buffer.alloc(16, 2);

const digests: readonly PartDigests[] = [
  { md5, checksum: null },
  { md5, checksum: { algorithm: 'SHA256', value: Buffer.alloc(32, 3) } },
];
const binding = { bodyId, partNumber: 4, blobId: newId() };

test.each(digests)('digests open for their own part only: $checksum.algorithm', (digests) => {
  const sealed = sealDigests(dataKey, binding, digests);
  expect(openDigests(dataKey, binding, sealed)).toEqual(digests);
  const others = [{ bodyId: newId() }, { partNumber: 5 }, { partNumber: -4 }, { blobId: newId() }];
  for (const other of others)
    expect(() => openDigests(dataKey, { ...binding, ...other }, sealed)).toThrow(integrity);
  expect(() => openDigests(dataKey, binding, { ...sealed, digestSalt: salt })).toThrow(integrity);
  expect(() => openDigests(newDataKey(), binding, sealed)).toThrow(integrity);
  for (let at = 0; at < sealed.sealedDigests.length; at++) {
    const sealedDigests = Buffer.from(sealed.sealedDigests);
    sealedDigests.writeUInt8(sealedDigests.readUInt8(at) ^ 1, at);
    expect(() => openDigests(dataKey, binding, { ...sealed, sealedDigests })).toThrow(integrity);
  }
});

test.each(digests)('digests in clear are read back: $checksum.algorithm', (digests) => {
  expect(decodeDigests(encodeDigests(digests))).toEqual(digests);
});

test.each<[string, Buffer]>([
  ['a short MD5', enc([Buffer.alloc(15), null])],
  ['an unknown algorithm', enc([md5, enc(['constructor', md5])])],
  ['a checksum without a value', enc([md5, enc(['CRC32'])])],
  ['a third field of the checksum', enc([md5, enc(['CRC32', md5, md5])])],
  ['a third field', enc([md5, null, null])],
])('digests with %s are refused', (_, encoded) => {
  expect(() => decodeDigests(encoded)).toThrow(malformed);
});

test('digests with a short MD5 are not sealed', () => {
  expect(() => sealDigests(dataKey, binding, { md5: Buffer.alloc(15), checksum: null })).toThrow(malformed);
});

const part: MacedPart = {
  partNumber: 1,
  size: 9,
  blobId: newId(),
  salt,
  digestSalt: Buffer.alloc(32, 5),
  digests: Buffer.alloc(60),
};
const otherParts: readonly Partial<MacedPart>[] = [
  { partNumber: 2 },
  { size: 8 },
  { size: -1 },
  { blobId: newId() },
  { salt: part.digestSalt },
  { salt: Buffer.alloc(31) },
  { digestSalt: salt },
  { digestSalt: Buffer.alloc(33) },
  { digests: Buffer.alloc(61) },
];

test("the MAC of an upload's part covers the part, the upload and the data key", () => {
  const uploadId = newId();
  const mac = partMac(dataKey, uploadId, part);
  verifyPartMac(dataKey, uploadId, part, mac);
  for (const other of otherParts) {
    expect(() => verifyPartMac(dataKey, uploadId, { ...part, ...other }, mac), JSON.stringify(other)).toThrow(
      integrity,
    );
  }
  expect(() => verifyPartMac(dataKey, newId(), part, mac)).toThrow(integrity);
  expect(() => verifyPartMac(newDataKey(), uploadId, part, mac)).toThrow(integrity);
  expect(() => verifyPartMac(dataKey, uploadId, part, mac.subarray(1))).toThrow(integrity);
});

function entryOf({ blobId, ...rest }: MacedPart, offset: number): PartEntry {
  return { ...rest, offset, location: { incarnation: newId(), blobId } };
}

test('the MAC of a page covers each part, their order, the page, the body and the data key', () => {
  const first = entryOf(part, 0);
  const second = entryOf({ ...part, partNumber: 3, blobId: newId() }, 9);
  const page = [first, second];
  const mac = pageMac(dataKey, bodyId, 0, page);
  verifyPageMac(dataKey, bodyId, 0, page, mac);
  const others: readonly (readonly PartEntry[])[] = [
    [second, first],
    [first],
    [first, second, second],
    [],
    [{ ...first, offset: 1 }, second],
    ...otherParts.map((other) => [
      first,
      entryOf({ ...part, partNumber: 3, blobId: second.location.blobId, ...other }, 9),
    ]),
  ];
  for (const other of others) {
    expect(() => verifyPageMac(dataKey, bodyId, 0, other, mac), JSON.stringify(other)).toThrow(integrity);
  }
  expect(() => verifyPageMac(dataKey, bodyId, 1, page, mac)).toThrow(integrity);
  expect(() => verifyPageMac(dataKey, newId(), 0, page, mac)).toThrow(integrity);
  expect(() => verifyPageMac(newDataKey(), bodyId, 0, page, mac)).toThrow(integrity);
});

test('where a blob lies is not covered, so that it can move', () => {
  const page = [entryOf(part, 0)];
  const moved = [entryOf(part, 0)];
  expect(moved).not.toEqual(page);
  verifyPageMac(dataKey, bodyId, 0, moved, pageMac(dataKey, bodyId, 0, page));
});

test.each(['salt', 'digestSalt'])('a part without %s has no place in an encrypted body', (field) => {
  const page = [{ ...entryOf(part, 0), [field]: null }];
  expect(() => pageMac(dataKey, bodyId, 0, page)).toThrow(malformed);
  expect(() => verifyPageMac(dataKey, bodyId, 0, page, Buffer.alloc(32))).toThrow(integrity);
});

test('MACs of parts and pages are never the same, even under one identifier', () => {
  const mac = partMac(dataKey, bodyId, part);
  expect(() => verifyPageMac(dataKey, bodyId, part.partNumber, [], mac)).toThrow(integrity);
});
