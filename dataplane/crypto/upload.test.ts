import { expect, test } from 'vitest';
import { newDataKey } from './dataKey.ts';
import { enc } from './encoding.ts';
import { newId } from './ids.ts';
import {
  decodeUploadMeta,
  encodeUploadMeta,
  openUploadMeta,
  sealUploadMeta,
  type UploadFields,
  type UploadMeta,
} from './upload.ts';

const dataKey = newDataKey();
const upload: UploadFields = {
  uploadId: newId(),
  bucketUid: newId(),
  key: Buffer.from('key'),
  bodyId: newId(),
  encrypted: true,
  suite: 1,
  chunkLog2: 17,
  checksumAlgorithm: 'CRC32C',
  checksumType: 'COMPOSITE',
};
const meta: UploadMeta = {
  contentHeaders: new Map([['content-type', 'a/b']]),
  userMetadata: new Map([['x', 'y']]),
};
const sealed = sealUploadMeta(dataKey, upload, meta);
const integrity = expect.objectContaining({ code: 'Integrity' });
const malformed = expect.objectContaining({ code: 'Malformed' });

test('the maps of an upload open to what was sealed', () => {
  expect(openUploadMeta(dataKey, upload, sealed)).toEqual(meta);
  expect(sealUploadMeta(dataKey, upload, meta).uploadSalt.equals(sealed.uploadSalt)).toBe(false);
});

test.each<Partial<UploadFields>>([
  { uploadId: newId() },
  { bucketUid: newId() },
  { key: Buffer.from('kez') },
  { bodyId: newId() },
  { encrypted: false },
  { suite: 2 },
  { chunkLog2: 18 },
  { chunkLog2: -1 },
  { checksumAlgorithm: 'CRC32' },
  { checksumAlgorithm: null },
  { checksumType: 'FULL_OBJECT' },
  { checksumType: null },
])('the maps of an upload do not open with %o', (other) => {
  expect(() => openUploadMeta(dataKey, { ...upload, ...other }, sealed)).toThrow(integrity);
});

test('the maps of an upload do not open altered, with another salt, or under another data key', () => {
  for (let at = 0; at < sealed.sealedMeta.length; at++) {
    const sealedMeta = Buffer.from(sealed.sealedMeta);
    sealedMeta.writeUInt8(sealedMeta.readUInt8(at) ^ 0x80, at);
    expect(() => openUploadMeta(dataKey, upload, { ...sealed, sealedMeta })).toThrow(integrity);
  }
  expect(() => openUploadMeta(dataKey, upload, { ...sealed, uploadSalt: Buffer.alloc(32) })).toThrow(
    integrity,
  );
  expect(() => openUploadMeta(newDataKey(), upload, sealed)).toThrow(integrity);
});

test('the maps in clear are read back, and nothing may follow them', () => {
  expect(decodeUploadMeta(encodeUploadMeta(meta))).toEqual(meta);
  expect(() => decodeUploadMeta(enc([new Map(), new Map(), null]))).toThrow(malformed);
});
