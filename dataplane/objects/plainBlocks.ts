import { crc32 } from 'node:zlib';
import { FormatError } from '../crypto/errors.ts';
import { CRC_BLOCK_BYTES } from './bodyWriter.ts';

/** Checks the blocks of a plain blob against their stored CRC-32: accidents are noticed, attacks are not. */
export class PlainBlocks {
  readonly headerBytes = 0;
  readonly chunkBytes = CRC_BLOCK_BYTES;
  readonly overheadBytes = 0;
  readonly aliases = true;
  readonly #blobId: string;
  readonly #firstBlock: number;
  readonly #crcs: Buffer;

  /** `crcs`: big-endian CRC-32 of the blocks from `firstBlock` on. */
  constructor(blobId: string, firstBlock: number, crcs: Uint8Array) {
    this.#blobId = blobId;
    this.#firstBlock = firstBlock;
    this.#crcs = Buffer.from(crcs.buffer, crcs.byteOffset, crcs.byteLength);
  }

  /** Plain blobs have no header. */
  checkHeader(stored: Uint8Array): void {
    if (stored.length !== 0) throw new FormatError('Malformed', 'a plain blob has no header');
  }

  /** The block itself, or FormatError 'Integrity'. */
  open(index: number, stored: Uint8Array): Uint8Array {
    const at = (index - this.#firstBlock) * 4;
    if (at + 4 > this.#crcs.length || crc32(stored) !== this.#crcs.readUInt32BE(at)) {
      throw new FormatError('Integrity', `block ${index} of blob ${this.#blobId} does not match its CRC`);
    }
    return stored;
  }
}
