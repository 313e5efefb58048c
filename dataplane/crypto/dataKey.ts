import type { KeyObject } from 'node:crypto';
import type { Id } from '../metadata/metadata.ts';
import { be32, enc } from './encoding.ts';
import { encodeStored, FormatError } from './errors.ts';
import { type RandomSource, systemRandom } from './random.ts';
import { hmac, KEY_BYTES, newSalt, openOnce, sealOnce, takeKey } from './sealing.ts';

const WRAP_LABEL = 'sealgate/v1/wrap';
const KEY_CHECK_LABEL = Buffer.from('sealgate/v1/kcv');
const KEY_CHECK_BYTES = 8;

/** What a sealed data key belongs to; it opens nowhere else. */
export interface KeyBinding {
  readonly purpose: 'object' | 'upload';
  readonly bucketUid: Id;
  readonly objectKey: Uint8Array;
  /** versionId of an object, uploadId of an upload. */
  readonly id: Id;
  /** The bucket key's version. */
  readonly n: number;
}

/** A data key as stored: a salt of 32 bytes, and 32 bytes of ciphertext with a tag of 16. */
export interface SealedDataKey {
  readonly wrapSalt: Buffer;
  readonly sealedKey: Buffer;
}

/** A new random data key of 32 bytes. */
export function newDataKey(random: RandomSource = systemRandom): KeyObject {
  return takeKey(random(KEY_BYTES));
}

/** Seals a data key with the bucket key under a fresh salt (format: Sealed data key). */
export function sealDataKey(
  bucketKey: KeyObject,
  binding: KeyBinding,
  dataKey: KeyObject,
  random: RandomSource = systemRandom,
): SealedDataKey {
  const wrapSalt = newSalt(random);
  const plaintext = dataKey.export();
  if (plaintext.length !== KEY_BYTES) throw new FormatError('Malformed', 'a data key has 32 bytes');
  try {
    return {
      wrapSalt,
      sealedKey: sealOnce(bucketKey, WRAP_LABEL, wrapSalt, plaintext, bindingBytes(binding)),
    };
  } finally {
    plaintext.fill(0);
  }
}

/** Opens a sealed data key. FormatError 'Integrity' when it was altered or belongs to anything else. */
export function openDataKey(
  bucketKey: KeyObject,
  binding: KeyBinding,
  sealed: { readonly wrapSalt: Uint8Array; readonly sealedKey: Uint8Array },
): KeyObject {
  const aad = encodeStored('sealed data key', () => bindingBytes(binding));
  const bytes = openOnce('sealed data key', bucketKey, WRAP_LABEL, sealed.wrapSalt, sealed.sealedKey, aad);
  if (bytes.length !== KEY_BYTES) {
    bytes.fill(0);
    throw new FormatError('Integrity', 'sealed data key: not 32 bytes');
  }
  return takeKey(bytes);
}

/** First 8 bytes of HMAC-SHA-256(bucket key, "sealgate/v1/kcv"): tells whether the KMS gave the same key again. */
export function keyCheckValue(bucketKey: KeyObject): Buffer {
  return hmac(bucketKey, KEY_CHECK_LABEL).subarray(0, KEY_CHECK_BYTES);
}

function bindingBytes(binding: KeyBinding): Buffer {
  return Buffer.concat([
    enc([`sealgate/v1/key/${binding.purpose}`, binding.bucketUid, binding.objectKey, binding.id]),
    be32(binding.n),
  ]);
}
