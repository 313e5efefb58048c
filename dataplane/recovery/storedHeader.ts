/**
 * What a blob says of itself without any key. Nothing of it is authentic: reading goes by the record, this is for
 * explaining a file that somebody found.
 */
import { MAGIC } from '../crypto/blobHeader.ts';
import { FormatError } from '../crypto/errors.ts';
import { chunkCount, chunkSize, HEADER_BYTES, storedSize, TAG_BYTES } from '../crypto/sizes.ts';

/** The 72 bytes as docs/format.md, "Blob" lays them out. */
export interface StoredHeader {
  readonly suite: number;
  readonly chunkLog2: number;
  readonly salt: Buffer;
  readonly commitment: Buffer;
}

const SUITE_AT = 4;
const CHUNK_LOG2_AT = 5;
const SALT_AT = 8;
const COMMITMENT_AT = 40;

/** null when the bytes do not start a blob of this format, as those of a plain blob do not. */
export function readHeader(bytes: Buffer): StoredHeader | null {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return null;
  return {
    suite: bytes.readUInt8(SUITE_AT),
    chunkLog2: bytes.readUInt8(CHUNK_LOG2_AT),
    salt: Buffer.from(bytes.subarray(SALT_AT, COMMITMENT_AT)),
    commitment: Buffer.from(bytes.subarray(COMMITMENT_AT, HEADER_BYTES)),
  };
}

/** What a stored length means. */
export interface ImpliedSize {
  readonly plaintextBytes: number;
  readonly chunks: number;
}

/** The one plaintext size whose blob has this length; null when there is none: such a blob was cut or extended. */
export function impliedSize(storedBytes: number, chunkLog2: number): ImpliedSize | null {
  try {
    const chunks = Math.max(1, Math.ceil((storedBytes - HEADER_BYTES) / (chunkSize(chunkLog2) + TAG_BYTES)));
    const plaintextBytes = storedBytes - HEADER_BYTES - TAG_BYTES * chunks;
    if (plaintextBytes < 0 || storedSize(plaintextBytes, chunkLog2) !== storedBytes) return null;
    return { plaintextBytes, chunks: chunkCount(plaintextBytes, chunkLog2) };
  } catch (error) {
    if (error instanceof FormatError) return null;
    throw error;
  }
}
