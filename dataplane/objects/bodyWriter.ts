/**
 * Turns the plaintext of one body into its stored form while it arrives: sealed or plain, inline or a blob.
 *
 * Part of objects/, which owns how versions are put together from keys, ciphers, blobs and metadata rows. It must
 * not know HTTP: whoever feeds it has already decided whether the result is encrypted.
 */
import type { KeyObject } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { BlobStore, BlobWriter } from '../blobs/blobs.ts';
import { BlobSealer } from '../crypto/blob.ts';
import type { RandomSource } from '../crypto/random.ts';
import { DEFAULT_CHUNK_LOG2 } from '../crypto/sizes.ts';
import type { BlobCrcs, BlobLocation } from '../metadata/metadata.ts';
import { freeBuffer } from './freeBuffer.ts';

/** Bodies up to this many plaintext bytes are kept in the metadata (format: Blob). */
export const INLINE_LIMIT_BYTES = 64 * 1024;

/** What is gathered before one write to the store. Two such batches at most are held: one filling, one in flight. */
const BATCH_BYTES = 1024 * 1024;

/** Plain blobs carry a CRC-32 for each block of this many bytes. */
export const CRC_BLOCK_BYTES = 128 * 1024;

/** A body in its stored form, durable unless inline. `salt` is null for plain bodies. */
export type StoredBody =
  | { readonly kind: 'inline'; readonly stored: Buffer; readonly salt: Buffer | null }
  | {
      readonly kind: 'blob';
      readonly location: BlobLocation;
      readonly storedBytes: number;
      readonly salt: Buffer | null;
      readonly crcs: BlobCrcs;
    };

/** How the record names a sealed body; null for plain ones. */
export function sealedBlob(stored: StoredBody): { readonly blobId: string; readonly salt: Buffer } | null {
  if (stored.salt === null) return null;
  return { blobId: stored.kind === 'inline' ? 'inline' : stored.location.blobId, salt: stored.salt };
}

export interface BodyWriterOptions {
  /** null: the body is stored in clear. */
  readonly dataKey: KeyObject | null;
  /** Plaintext bytes to come; null when only the end will tell (form uploads). */
  readonly plaintextSize: number | null;
  readonly random: RandomSource;
  /** False for parts: they are blobs whatever their size. */
  readonly mayInline: boolean;
}

/** Exactly one of finish() and abort() ends it. */
export class BodyWriter {
  readonly #blobs: BlobStore;
  readonly #sealer: BlobSealer | null;
  readonly #crcs: BlockCrcs | null;
  /** Undecided bodies of unknown size stay in memory until they outgrow the inline limit. */
  #inline: boolean;
  readonly #sizeKnown: boolean;
  #blob: BlobWriter | null = null;
  #batch: Uint8Array[] = [];
  #batchBytes = 0;
  #plaintextBytes = 0;
  #inFlight: Promise<void> | null = null;
  /** Settles, never rejects: abort() must not overtake a blob that is just being created. */
  #flushing: Promise<void> = Promise.resolve();
  #failure: { readonly error: unknown } | null = null;

  constructor(blobs: BlobStore, options: BodyWriterOptions) {
    const { dataKey, plaintextSize } = options;
    this.#blobs = blobs;
    this.#sizeKnown = plaintextSize !== null;
    this.#inline = options.mayInline && (plaintextSize ?? 0) <= INLINE_LIMIT_BYTES;
    this.#sealer =
      dataKey === null
        ? null
        : new BlobSealer(dataKey, {
            chunkLog2: DEFAULT_CHUNK_LOG2,
            random: options.random,
            ...(plaintextSize === null ? {} : { plaintextSize }),
          });
    this.#crcs = dataKey === null ? new BlockCrcs() : null;
    if (this.#sealer !== null) this.#push(this.#sealer.header());
  }

  get plaintextBytes(): number {
    return this.#plaintextBytes;
  }

  /** Whether pieces are kept until they are stored; sealed ones are used within the call only. */
  get keepsPieces(): boolean {
    return this.#sealer === null;
  }

  /**
   * Takes the next plaintext bytes; where pieces are kept, the buffer belongs to the writer from now on. Returns a
   * promise when the caller must wait before it brings more.
   */
  write(piece: Uint8Array): Promise<void> | undefined {
    this.#plaintextBytes += piece.length;
    if (this.#sealer === null) this.#push(piece);
    else for (const sealed of this.#sealer.update(piece)) this.#push(sealed);
    if (this.#inline && (this.#sizeKnown || this.#plaintextBytes <= INLINE_LIMIT_BYTES)) return undefined;
    if (this.#inline) this.#inline = false;
    if (this.#batchBytes < BATCH_BYTES) return undefined;
    return this.#flush();
  }

  /** Makes the body durable (an inline one becomes so with its row). Rejects with BlobError or FormatError. */
  async finish(): Promise<StoredBody> {
    if (this.#sealer !== null) for (const sealed of this.#sealer.final()) this.#push(sealed);
    const salt = this.#sealer?.salt ?? null;
    if (this.#inline) return { kind: 'inline', stored: Buffer.concat(this.#batch), salt };
    await this.#flush();
    await this.#settled();
    const blob = this.#blob ?? (await this.#blobs.create());
    this.#blob = blob;
    await blob.finish();
    return {
      kind: 'blob',
      location: blob.location,
      storedBytes: blob.storedBytes,
      salt,
      crcs: this.#crcs?.finish() ?? new Uint8Array(0),
    };
  }

  /** Removes whatever was staged. */
  async abort(): Promise<void> {
    this.#batch = [];
    await this.#flushing;
    await this.#inFlight;
    await this.#blob?.abort();
  }

  #push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#crcs?.update(bytes);
    this.#batch.push(bytes);
    this.#batchBytes += bytes.length;
  }

  /** Starts writing the batch as soon as the one before is written; resolves when there is room for another. */
  #flush(): Promise<void> {
    const flushing = this.#startBatch();
    this.#flushing = flushing.then(
      () => undefined,
      () => undefined,
    );
    return flushing;
  }

  async #startBatch(): Promise<void> {
    await this.#settled();
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#blob ??= await this.#blobs.create();
    this.#inFlight = this.#blob.write(batch).then(
      () => {
        this.#inFlight = null;
        for (const written of batch) freeBuffer(written);
      },
      (error: unknown) => {
        this.#inFlight = null;
        this.#failure = { error };
      },
    );
  }

  async #settled(): Promise<void> {
    await this.#inFlight;
    if (this.#failure !== null) throw this.#failure.error;
  }
}

/** CRC-32 of each block of a byte stream, big-endian, in order. */
class BlockCrcs {
  #crcs = Buffer.alloc(64);
  #count = 0;
  #crc = 0;
  #filled = 0;

  update(bytes: Uint8Array): void {
    let offset = 0;
    while (offset < bytes.length) {
      const end = Math.min(bytes.length, offset + CRC_BLOCK_BYTES - this.#filled);
      this.#crc = crc32(bytes.subarray(offset, end), this.#crc);
      this.#filled += end - offset;
      offset = end;
      if (this.#filled === CRC_BLOCK_BYTES) this.#close();
    }
  }

  finish(): Uint8Array {
    if (this.#filled > 0) this.#close();
    return this.#crcs.subarray(0, this.#count * 4);
  }

  #close(): void {
    if (this.#count * 4 === this.#crcs.length)
      this.#crcs = Buffer.concat([this.#crcs], this.#crcs.length * 2);
    this.#crcs.writeUInt32BE(this.#crc, this.#count * 4);
    this.#count += 1;
    this.#crc = 0;
    this.#filled = 0;
  }
}
