import { randomFillSync } from 'node:crypto';

/**
 * Gives this many fresh, uniformly random bytes in a buffer of the caller's own. Every function of crypto/ that
 * draws a salt takes one as its last, optional parameter, so that the vectors can be made from fixed bytes.
 */
export type RandomSource = (sizeBytes: number) => Buffer;

/** The operating system's generator through OpenSSL. Never from Buffer's pool: the bytes may become a key. */
export const systemRandom: RandomSource = (sizeBytes) => randomFillSync(Buffer.allocUnsafeSlow(sizeBytes));
