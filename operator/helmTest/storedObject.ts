/** What lies on the volume for an object, and whether it is ciphertext. */
import { z } from 'zod';

/** Of `sealgate inspect --json`, what is looked at here. */
const inspection = z.object({
  versions: z.array(
    z.object({
      current: z.boolean(),
      protection: z.string(),
      keyVersion: z.object({ n: z.int(), kmsConnection: z.string().optional() }).optional(),
      record: z.string(),
      body: z.object({ file: z.string(), storedBytes: z.int() }),
    }),
  ),
});

export interface StoredObject {
  readonly file: string;
  readonly storedBytes: number;
  readonly kmsConnection: string;
}

/**
 * Where the current version of the inspected object lies.
 *
 * @throws Error when it is not sealed, or its record does not verify
 */
export function storedObject(inspectJson: string): StoredObject {
  const version = inspection.parse(JSON.parse(inspectJson)).versions.find(({ current }) => current);
  if (version === undefined) throw new Error('the data plane does not know the object');
  if (version.protection !== 'sealed') throw new Error(`the object is stored ${version.protection}`);
  if (version.record !== 'verifies') throw new Error(`the record of the object: ${version.record}`);
  return { ...version.body, kmsConnection: version.keyVersion?.kmsConnection ?? 'unknown' };
}

/**
 * Compares what is stored with what was put.
 *
 * @throws Error when it is not a sealed blob, or any 16 bytes of the plaintext are in it
 */
export function assertCiphertext(stored: Buffer, plaintext: Buffer): void {
  if (stored.subarray(0, 3).toString('latin1') !== 'SGB') throw new Error('the file is not a sealed blob');
  if (stored.length <= plaintext.length)
    throw new Error('the file is shorter than a sealed blob of the object');
  for (let at = 0; at + 16 <= plaintext.length; at += 16) {
    if (stored.includes(plaintext.subarray(at, at + 16))) throw new Error('plaintext is in the file');
  }
}
