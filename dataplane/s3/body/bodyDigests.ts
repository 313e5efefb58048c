import { createHash } from 'node:crypto';
import type { PartDigests } from '../../crypto/parts.ts';
import type { ChecksumAlgorithm } from '../../metadata/metadata.ts';
import { type Checksum, createChecksum } from '../integrity/checksums.ts';

/** Size, MD5 and one checksum of bytes on their way. */
export class BodyDigests {
  readonly #md5 = createHash('md5');
  readonly #algorithm: ChecksumAlgorithm | null;
  readonly #checksum: Checksum | null;
  #size = 0;

  /** `algorithm` null: the MD5 alone. */
  constructor(algorithm: ChecksumAlgorithm | null) {
    this.#algorithm = algorithm;
    this.#checksum = algorithm === null ? null : createChecksum(algorithm);
  }

  /** Bytes so far. */
  get size(): number {
    return this.#size;
  }

  update(piece: Uint8Array): void {
    this.#size += piece.length;
    this.#md5.update(piece);
    this.#checksum?.update(piece);
  }

  /** Call it once, last. */
  finish(): PartDigests & { readonly size: number; readonly md5: Buffer } {
    const value = this.#checksum?.digest() ?? null;
    const algorithm = this.#algorithm;
    return {
      size: this.#size,
      md5: this.#md5.digest(),
      checksum: algorithm === null || value === null ? null : { algorithm, value },
    };
  }
}
