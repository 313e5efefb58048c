import { createCipheriv, type KeyObject } from 'node:crypto';
import { FormatError } from './errors.ts';
import { deriveKey, SALT_BYTES } from './sealing.ts';

const LABEL = 'sealgate/v1/list';
const BLOCK_BYTES = 16;

/** The key that masks the ETags of listings: one for each bucket key version. */
export function listKey(bucketKey: KeyObject): KeyObject {
  return deriveKey(bucketKey, '', LABEL);
}

/**
 * MD5 XOR AES-256(listKey, first 16 bytes of wrapSalt); the same call unmasks. Each wrapSalt is used for one version, so a
 * mask is used once. It hides and does not authenticate: listings are not authentic, GET and HEAD are. FormatError
 * 'Malformed' unless `etag` has 16 bytes and `wrapSalt` 32.
 */
export function maskEtag(key: KeyObject, wrapSalt: Uint8Array, etag: Uint8Array): Buffer {
  if (wrapSalt.length !== SALT_BYTES) throw new FormatError('Malformed', 'a wrapping salt has 32 bytes');
  if (etag.length !== BLOCK_BYTES) throw new FormatError('Malformed', 'an ETag has 16 bytes');
  const cipher = createCipheriv('aes-256-ecb', key, null);
  // One whole block: padding would only append a second.
  cipher.setAutoPadding(false);
  const masked = cipher.update(wrapSalt.subarray(0, BLOCK_BYTES));
  for (const [i, byte] of etag.entries()) masked[i] = (masked[i] ?? 0) ^ byte;
  return masked;
}
