import { randomFillSync } from 'node:crypto';

/**
 * Gives this many fresh, uniformly random bytes in a buffer of the caller's own. Every function of crypto/ that
 * draws a salt takes one as its last, optional parameter, so that the vectors can be made from fixed bytes.
 */
export type RandomSource = (sizeBytes: number) => Buffer;

/** The operating system's generator through OpenSSL. Never from Buffer's pool: the bytes may become a key. */
export const systemRandom: RandomSource = (sizeBytes) => randomFillSync(Buffer.allocUnsafeSlow(sizeBytes));

const BLOCK_BYTES = 4096;

/**
 * A source that draws a block at a time: a draw costs a quarter of systemRandom's. What was given out is erased from
 * the block, so that no byte is given twice and none is kept. One for each thread.
 */
export function blockRandom(): RandomSource {
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  let used = BLOCK_BYTES;
  return (sizeBytes) => {
    if (sizeBytes > BLOCK_BYTES) return systemRandom(sizeBytes);
    if (used + sizeBytes > BLOCK_BYTES) {
      randomFillSync(block);
      used = 0;
    }
    const drawn = Buffer.allocUnsafeSlow(sizeBytes);
    block.copy(drawn, 0, used, used + sizeBytes);
    block.fill(0, used, used + sizeBytes);
    used += sizeBytes;
    return drawn;
  };
}
