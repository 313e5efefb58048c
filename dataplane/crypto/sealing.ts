/**
 * The two primitives that every small structure shares: a key derived with a salt of its own, and AES-256-GCM under such
 * a key. A derived key seals one message, which is what makes the zero nonce safe.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { FormatError } from './errors.ts';
import { type RandomSource, systemRandom } from './random.ts';
import { TAG_BYTES } from './sizes.ts';

export const KEY_BYTES = 32;
export const SALT_BYTES = 32;
export const CIPHER = 'aes-256-gcm';
const ZERO_NONCE = Buffer.alloc(12);

/** 32 fresh random bytes; one for every sealing, never used again. */
export function newSalt(random: RandomSource = systemRandom): Buffer {
  return random(SALT_BYTES);
}

/** HKDF-SHA-256(parent, salt, info = label), 32 bytes. */
export function deriveKey(parent: KeyObject, salt: string | Uint8Array, label: string): KeyObject {
  return takeKey(Buffer.from(hkdfSync('sha256', parent, salt, label, KEY_BYTES)));
}

/** Moves key bytes into a KeyObject and erases the buffer. */
export function takeKey(bytes: Buffer): KeyObject {
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** HMAC-SHA-256, 32 bytes. */
export function hmac(key: KeyObject, ...messages: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const message of messages) mac.update(message);
  return mac.digest();
}

/** Throws FormatError 'Integrity' unless both are equal, compared in constant time. */
export function requireEqual(what: string, expected: Uint8Array, stored: Uint8Array): void {
  if (expected.length !== stored.length || !timingSafeEqual(expected, stored)) {
    throw new FormatError('Integrity', `${what} does not verify`);
  }
}

/** AES-256-GCM(HKDF-SHA-256(parent, salt, label), zero nonce, plaintext, aad) = ciphertext || 16-byte tag. */
export function sealOnce(
  parent: KeyObject,
  label: string,
  salt: Uint8Array,
  plaintext: Uint8Array,
  aad: Uint8Array,
): Buffer {
  const cipher = createCipheriv(CIPHER, deriveKey(parent, salt, label), ZERO_NONCE, {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(aad);
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** Opens what sealOnce() made. Throws FormatError 'Integrity', and releases nothing before the tag was verified. */
export function openOnce(
  what: string,
  parent: KeyObject,
  label: string,
  salt: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Buffer {
  if (salt.length !== SALT_BYTES) throw new FormatError('Integrity', `${what}: the salt is not 32 bytes`);
  if (sealed.length < TAG_BYTES) throw new FormatError('Integrity', `${what}: shorter than its tag`);
  const decipher = createDecipheriv(CIPHER, deriveKey(parent, salt, label), ZERO_NONCE, {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(aad);
  const tagAt = sealed.length - TAG_BYTES;
  decipher.setAuthTag(sealed.subarray(tagAt));
  const plaintext = decipher.update(sealed.subarray(0, tagAt));
  try {
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw new FormatError('Integrity', `${what} does not verify`, { cause });
  }
  return plaintext;
}
