/** Sizes of a stored blob as pure functions of the plaintext's size (docs/format.md, "Blob"). All sizes in bytes. */
import { FormatError } from './errors.ts';

export const HEADER_BYTES = 72;
export const TAG_BYTES = 16;
export const DEFAULT_CHUNK_LOG2 = 17;
const MIN_CHUNK_LOG2 = 16;
const MAX_CHUNK_LOG2 = 20;

/** Plaintext bytes of a full chunk. FormatError 'Malformed' outside 2^16..2^20. */
export function chunkSize(chunkLog2: number): number {
  if (!Number.isInteger(chunkLog2) || chunkLog2 < MIN_CHUNK_LOG2 || chunkLog2 > MAX_CHUNK_LOG2) {
    throw new FormatError('Malformed', `chunkLog2 must be from ${MIN_CHUNK_LOG2} to ${MAX_CHUNK_LOG2}`);
  }
  return 2 ** chunkLog2;
}

/** Number of chunks; an empty plaintext is one empty chunk. FormatError 'Malformed' for impossible sizes. */
export function chunkCount(sizeBytes: number, chunkLog2: number): number {
  const chunkBytes = chunkSize(chunkLog2);
  const count = Math.max(1, Math.ceil(sizeBytes / chunkBytes));
  if (
    !Number.isSafeInteger(sizeBytes) ||
    sizeBytes < 0 ||
    !Number.isSafeInteger(HEADER_BYTES + sizeBytes + TAG_BYTES * count)
  ) {
    throw new FormatError('Malformed', 'not a possible plaintext size');
  }
  return count;
}

/** Size of the whole blob: header, chunks and tags. */
export function storedSize(sizeBytes: number, chunkLog2: number): number {
  return HEADER_BYTES + sizeBytes + TAG_BYTES * chunkCount(sizeBytes, chunkLog2);
}

/** The chunks that hold a plaintext range, and where they lie in the blob. */
export interface ChunkRange {
  readonly firstChunk: number;
  readonly lastChunk: number;
  /** Offset of the first chunk in the blob. */
  readonly storedStart: number;
  /** Exclusive end of the last chunk in the blob. */
  readonly storedEnd: number;
  /** Plaintext bytes of the first chunk before the range. */
  readonly skip: number;
}

/** Which chunks hold the plaintext bytes first..last, both inclusive. FormatError 'Malformed' outside the plaintext. */
export function chunkRange(sizeBytes: number, chunkLog2: number, first: number, last: number): ChunkRange {
  const stored = storedSize(sizeBytes, chunkLog2);
  if (!Number.isInteger(first) || !Number.isInteger(last) || first < 0 || last < first || last >= sizeBytes) {
    throw new FormatError('Malformed', 'the range lies outside the plaintext');
  }
  const chunkBytes = chunkSize(chunkLog2);
  // Divisions, not shifts: offsets exceed 32 bits.
  const firstChunk = Math.floor(first / chunkBytes);
  const lastChunk = Math.floor(last / chunkBytes);
  return {
    firstChunk,
    lastChunk,
    storedStart: HEADER_BYTES + firstChunk * (chunkBytes + TAG_BYTES),
    storedEnd: Math.min(HEADER_BYTES + (lastChunk + 1) * (chunkBytes + TAG_BYTES), stored),
    skip: first - firstChunk * chunkBytes,
  };
}
