/** Smaller buffers cost the collector little, and are often views of a pool. */
const WORTH_FREEING_BYTES = 16 * 1024;

/**
 * Gives the memory of a buffer back at once instead of at the next garbage collection: V8 answers some tens of
 * megabytes of dead buffers with a full collection, which costs more than sealing their bytes does.
 *
 * The caller must be the last one who uses the bytes, system calls under way included: they are gone for every view.
 * A buffer that is only a part of its memory is left alone.
 */
export function freeBuffer(bytes: Uint8Array): void {
  const { buffer, byteLength } = bytes;
  if (byteLength < WORTH_FREEING_BYTES || buffer.byteLength !== byteLength) return;
  // Memory that threads share cannot be given up by one of them.
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
