import { expect, test } from 'vitest';
import { newDataKey } from './dataKey.ts';
import { enc } from './encoding.ts';
import { newId } from './ids.ts';
import {
  decodePrivate,
  encodePrivate,
  openRecord,
  type PrivateRecord,
  type PublicRecord,
  sealRecord,
} from './record.ts';
import { sealOnce } from './sealing.ts';

const dataKey = newDataKey();
const salt = Buffer.alloc(32, 4);
const pub: PublicRecord = {
  format: 1,
  suite: 1,
  chunkLog2: 17,
  bucketUid: newId(),
  objectKey: Buffer.from('key'),
  versionId: newId(),
  isNull: true,
  lastModifiedMs: 1_700_000_000_000,
  bodyId: newId(),
  size: 10,
  partCount: 0,
  blob: { blobId: newId(), size: 10, salt },
};
const priv: PrivateRecord = {
  md5: Buffer.alloc(16, 1),
  checksums: [{ algorithm: 'CRC32', type: 'FULL_OBJECT', value: Buffer.alloc(4, 2) }],
  contentHeaders: new Map([['content-type', 'text/plain']]),
  userMetadata: new Map([
    ['a', '\u00e9'],
    ['b', ''],
  ]),
};
const sealed = sealRecord(dataKey, pub, priv);
const integrity = expect.objectContaining({ code: 'Integrity' });
const malformed = expect.objectContaining({ code: 'Malformed' });

test('a record opens to what was sealed, and is sealed with a new salt each time', () => {
  expect(openRecord(dataKey, pub, sealed)).toEqual(priv);
  expect(sealRecord(dataKey, pub, priv).recordSalt.equals(sealed.recordSalt)).toBe(false);
});

test.each<[string, Partial<PublicRecord>]>([
  ['suite', { suite: 2 }],
  ['chunk size', { chunkLog2: 16 }],
  ['bucket', { bucketUid: newId() }],
  ['object key', { objectKey: Buffer.from('Key') }],
  ['version', { versionId: newId() }],
  ['isNull', { isNull: false }],
  ['time', { lastModifiedMs: pub.lastModifiedMs + 1 }],
  ['body', { bodyId: newId() }],
  ['size', { size: 11 }],
  ['impossible size', { size: -1 }],
  ['blob', { blob: { blobId: newId(), size: 10, salt } }],
  ['size of the blob', { blob: { blobId: newId(), size: 9, salt } }],
  ['salt of the blob', { blob: { blobId: newId(), size: 10, salt: Buffer.alloc(32, 5) } }],
  ['number of parts, with a blob', { partCount: 1 }],
  ['number of parts, without a blob', { partCount: 1, blob: null }],
  ['nothing but the blob missing', { blob: null }],
])('a record does not open with another %s', (_, other) => {
  expect(() => openRecord(dataKey, { ...pub, ...other }, sealed)).toThrow(integrity);
});

test('a record does not open with another salt, under another data key, or altered', () => {
  expect(() => openRecord(dataKey, pub, { ...sealed, recordSalt: salt })).toThrow(integrity);
  expect(() => openRecord(newDataKey(), pub, sealed)).toThrow(integrity);
  for (let at = 0; at < sealed.sealedRecord.length; at++) {
    const sealedRecord = Buffer.from(sealed.sealedRecord);
    sealedRecord.writeUInt8(sealedRecord.readUInt8(at) ^ 0x20, at);
    expect(() => openRecord(dataKey, pub, { ...sealed, sealedRecord })).toThrow(integrity);
  }
});

test('an impossible record is not sealed', () => {
  expect(() => sealRecord(dataKey, { ...pub, blob: null }, priv)).toThrow(malformed);
  expect(() => sealRecord(dataKey, { ...pub, partCount: 2 }, priv)).toThrow(malformed);
  expect(() => sealRecord(dataKey, pub, { ...priv, md5: Buffer.alloc(15) })).toThrow(malformed);
});

test('the private part in clear is read back, whatever the order of its maps was', () => {
  expect(decodePrivate(encodePrivate(priv))).toEqual(priv);
  const reordered = { ...priv, userMetadata: new Map([...priv.userMetadata].reverse()) };
  expect(encodePrivate(reordered).equals(encodePrivate(priv))).toBe(true);
});

test.each<[string, Buffer]>([
  ['a short MD5', enc([Buffer.alloc(15), [], new Map(), new Map()])],
  ['an unknown algorithm', enc([priv.md5, [['MD4', 'FULL_OBJECT', salt]], new Map(), new Map()])],
  ['an unknown type', enc([priv.md5, [['CRC32', 'toString', salt]], new Map(), new Map()])],
  [
    'a name of Object.prototype as algorithm',
    enc([priv.md5, [['toString', 'COMPOSITE', salt]], new Map(), new Map()]),
  ],
  ['a fifth field', enc([priv.md5, [], new Map(), new Map(), ''])],
])('a private part with %s is refused', (_, encoded) => {
  expect(() => decodePrivate(encoded)).toThrow(malformed);
});

test('an authentic record with a private part that cannot be read is refused as malformed', () => {
  const { partCount, blob, ...fields } = pub;
  const aad = enc([
    'sealgate/v1/record',
    ...Object.values(fields),
    partCount,
    salt,
    blob && enc([blob.blobId, blob.size, blob.salt]),
  ]);
  const sealedRecord = sealOnce(dataKey, 'sealgate/v1/record', salt, enc(['no MD5']), aad);
  expect(() => openRecord(dataKey, pub, { recordSalt: salt, sealedRecord })).toThrow(malformed);
});
