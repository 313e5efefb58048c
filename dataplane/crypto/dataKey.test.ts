import { createSecretKey } from 'node:crypto';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type KeyBinding, keyCheckValue, newDataKey, openDataKey, sealDataKey } from './dataKey.ts';
import { be32, enc } from './encoding.ts';
import { newId } from './ids.ts';
import { sealOnce } from './sealing.ts';

const bucketKey = newDataKey();
const dataKey = newDataKey();
const binding: KeyBinding = {
  purpose: 'object',
  bucketUid: newId(),
  objectKey: Buffer.from('a/b'),
  id: newId(),
  n: 3,
};
const sealed = sealDataKey(bucketKey, binding, dataKey);
const integrity = expect.objectContaining({ code: 'Integrity' });
const malformed = expect.objectContaining({ code: 'Malformed' });

test('a sealed data key opens to the same key, and is sealed with a new salt each time', () => {
  expect(openDataKey(bucketKey, binding, sealed).equals(dataKey)).toBe(true);
  expect(sealed.sealedKey).toHaveLength(48);
  const again = sealDataKey(bucketKey, binding, dataKey);
  expect(again.wrapSalt.equals(sealed.wrapSalt)).toBe(false);
  expect(openDataKey(bucketKey, binding, again).equals(dataKey)).toBe(true);
});

test.each<[string, Partial<KeyBinding>]>([
  ['purpose', { purpose: 'upload' }],
  ['bucket', { bucketUid: newId() }],
  ['object key', { objectKey: Buffer.from('a/c') }],
  ['version', { id: newId() }],
  ['key version', { n: 4 }],
  ['impossible key version', { n: -1 }],
])('a sealed data key does not open for another %s', (_, other) => {
  expect(() => openDataKey(bucketKey, { ...binding, ...other }, sealed)).toThrow(integrity);
});

test('a byte does not move from one field of the binding to the next', () => {
  const id = binding.id;
  const moved = { ...binding, bucketUid: `${binding.bucketUid}a`, objectKey: Buffer.from('/b'), id };
  expect(() => openDataKey(bucketKey, moved, sealed)).toThrow(integrity);
});

test('a sealed data key does not open with any bit flipped, nor under another bucket key', () => {
  fc.assert(
    fc.property(fc.constantFrom('sealedKey', 'wrapSalt'), fc.nat({ max: 255 }), (field, bit) => {
      const altered = { wrapSalt: Buffer.from(sealed.wrapSalt), sealedKey: Buffer.from(sealed.sealedKey) };
      const at = Math.floor(bit / 8);
      altered[field].writeUInt8(altered[field].readUInt8(at) ^ (1 << (bit % 8)), at);
      expect(() => openDataKey(bucketKey, binding, altered)).toThrow(integrity);
    }),
  );
  expect(() => openDataKey(newDataKey(), binding, sealed)).toThrow(integrity);
});

test('a value of another length, sealed in the same way, is not a data key', () => {
  const { bucketUid, objectKey, id, n } = binding;
  const aad = Buffer.concat([enc(['sealgate/v1/key/object', bucketUid, objectKey, id]), be32(n)]);
  for (const length of [31, 33]) {
    const wrapSalt = Buffer.alloc(32, 1);
    const sealedKey = sealOnce(bucketKey, 'sealgate/v1/wrap', wrapSalt, Buffer.alloc(length), aad);
    expect(() => openDataKey(bucketKey, binding, { wrapSalt, sealedKey })).toThrow(integrity);
  }
});

test('only a key of 32 bytes is sealed, and only under a possible key version', () => {
  expect(() => sealDataKey(bucketKey, binding, createSecretKey(Buffer.alloc(31)))).toThrow(malformed);
  expect(() => sealDataKey(bucketKey, { ...binding, n: 2 ** 32 }, dataKey)).toThrow(malformed);
});

test('a new data key erases the random bytes that it was made of', () => {
  const drawn: Buffer[] = [];
  const key = newDataKey((sizeBytes) => {
    const bytes = Buffer.alloc(sizeBytes, 8);
    drawn.push(bytes);
    return bytes;
  });
  expect(key.export().equals(Buffer.alloc(32, 8))).toBe(true);
  expect(drawn).toEqual([Buffer.alloc(32)]);
});

test('the key check value tells keys apart', () => {
  expect(keyCheckValue(bucketKey)).toHaveLength(8);
  expect(keyCheckValue(bucketKey)).toEqual(keyCheckValue(createSecretKey(bucketKey.export())));
  expect(keyCheckValue(bucketKey)).not.toEqual(keyCheckValue(dataKey));
});
