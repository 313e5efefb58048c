import type { KeyObject } from 'node:crypto';
import { enc } from './encoding.ts';
import { encodeStored } from './errors.ts';
import { type RandomSource, systemRandom } from './random.ts';
import { newSalt, openOnce, sealOnce } from './sealing.ts';

const LABEL = 'sealgate/v1/secret';

/** A secret access key as stored. */
export interface SealedSecret {
  readonly secretSalt: Buffer;
  readonly sealedSecret: Buffer;
}

/** Seals the secret of an access key under a fresh salt, bound to the access key's id (format: Access keys). */
export function sealAccessKeySecret(
  installationKey: KeyObject,
  accessKeyId: string,
  secretAccessKey: string,
  random: RandomSource = systemRandom,
): SealedSecret {
  const secretSalt = newSalt(random);
  const plaintext = Buffer.from(secretAccessKey, 'utf8');
  try {
    const sealedSecret = sealOnce(installationKey, LABEL, secretSalt, plaintext, enc([accessKeyId]));
    return { secretSalt, sealedSecret };
  } finally {
    plaintext.fill(0);
  }
}

/** Opens it. FormatError 'Integrity' when it was altered or belongs to another access key. */
export function openAccessKeySecret(
  installationKey: KeyObject,
  accessKeyId: string,
  { secretSalt, sealedSecret }: { readonly secretSalt: Uint8Array; readonly sealedSecret: Uint8Array },
): string {
  const what = 'access-key secret';
  const aad = encodeStored(what, () => enc([accessKeyId]));
  const plaintext = openOnce(what, installationKey, LABEL, secretSalt, sealedSecret, aad);
  try {
    return plaintext.toString('utf8');
  } finally {
    plaintext.fill(0);
  }
}
