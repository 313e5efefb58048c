import { hkdfSync, type KeyObject } from 'node:crypto';
import { KEY_BYTES, SALT_BYTES, takeKey } from './sealing.ts';
import { HEADER_BYTES } from './sizes.ts';

/** The one suite of version 1: HKDF-SHA-512 for the stream, AES-256-GCM for its chunks. */
export const SUITE = 1;

/** The first bytes of every blob: name and version of the format. */
export const MAGIC = 'SGB\x01';
const PREFIX_BYTES = 8;
const COMMITMENT_BYTES = 32;
const LABEL = Buffer.from('sealgate/v1/blob');

/** What a blob is sealed with: its key, and the header that commits to that key. */
export interface StreamKeys {
  readonly streamKey: KeyObject;
  readonly header: Buffer;
}

/** Derives the stream key and the whole 72-byte header from the data key and the blob's salt (format: Blob). */
export function deriveStream(
  dataKey: KeyObject,
  suite: number,
  chunkLog2: number,
  salt: Uint8Array,
): StreamKeys {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 0, 'latin1');
  header.writeUInt8(suite, 4);
  header.writeUInt8(chunkLog2, 5);
  header.set(salt, PREFIX_BYTES);
  const info = Buffer.concat([LABEL, header.subarray(0, PREFIX_BYTES)]);
  const derived = Buffer.from(hkdfSync('sha512', dataKey, salt, info, KEY_BYTES + COMMITMENT_BYTES));
  derived.copy(header, PREFIX_BYTES + SALT_BYTES, KEY_BYTES);
  return { streamKey: takeKey(derived.subarray(0, KEY_BYTES)), header };
}

/** Chunk index as an 11-byte big-endian counter, then 1 for the last chunk and 0 for the others (STREAM). */
export function nonceFor(chunkIndex: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(chunkIndex, 5, 6);
  nonce.writeUInt8(isLast ? 1 : 0, 11);
  return nonce;
}
