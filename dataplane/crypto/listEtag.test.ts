import { expect, test } from 'vitest';
import { newDataKey } from './dataKey.ts';
import { listKey, maskEtag } from './listEtag.ts';

const key = listKey(newDataKey());
const wrapSalt = Buffer.alloc(32, 1);
const etag = Buffer.alloc(16, 0xab);
const malformed = expect.objectContaining({ code: 'Malformed' });

test('masking twice gives the ETag back, and only with the same key and salt', () => {
  const masked = maskEtag(key, wrapSalt, etag);
  expect(masked).toHaveLength(16);
  expect(masked.equals(etag)).toBe(false);
  expect(maskEtag(key, wrapSalt, masked).equals(etag)).toBe(true);
  expect(maskEtag(key, Buffer.alloc(32, 2), masked).equals(etag)).toBe(false);
  expect(maskEtag(listKey(newDataKey()), wrapSalt, masked).equals(etag)).toBe(false);
  expect(etag.equals(Buffer.alloc(16, 0xab))).toBe(true);
});

test.each([0, 15, 17, 32])('an ETag of %d bytes is refused', (length) => {
  expect(() => maskEtag(key, wrapSalt, Buffer.alloc(length))).toThrow(malformed);
});

test.each([0, 16, 31])('a salt of %d bytes is refused', (length) => {
  expect(() => maskEtag(key, Buffer.alloc(length), etag)).toThrow(malformed);
});
