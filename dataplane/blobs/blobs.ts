/**
 * The blob store interface: named byte strings, written once, never renamed, never reused.
 *
 * Owns durability of blobs. It must not know keys, objects or buckets: it sees ciphertext and random names.
 */
import type { BlobLocation, Id } from '../metadata/metadata.ts';

/** One blob being written. Exactly one of finish() and abort() ends it. */
export interface BlobWriter {
  readonly location: BlobLocation;
  /** Bytes accepted so far. */
  readonly storedBytes: number;
  /**
   * Appends the buffers in order. Resolves when they may be reused and the store wants more. At most one call
   * may be pending; rejects with BlobError.
   */
  write(buffers: readonly Uint8Array[]): Promise<void>;
  /** Makes the blob and its name durable. After it resolved the blob survives a power cut. */
  finish(): Promise<void>;
  /** Removes what was written. Never rejects. */
  abort(): Promise<void>;
}

/** An open blob; survives delete() until close(). */
export interface BlobReader {
  readonly storedBytes: number;
  /** Fills `into` from `position` on; resolves to the bytes read, fewer only at the end of the blob. */
  read(into: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

export interface BlobStore {
  create(): Promise<BlobWriter>;
  /** BlobError 'NotFound' when there is no such blob. */
  open(location: BlobLocation): Promise<BlobReader>;
  /** Deleting what is not there is not an error. */
  delete(location: BlobLocation): Promise<void>;
  /** Every incarnation that has left something, this process's own included. */
  incarnations(): Promise<readonly Id[]>;
  list(incarnation: Id): AsyncIterable<Id>;
  /** Removes an incarnation that holds nothing any more; false if it still does. */
  dropIncarnation(incarnation: Id): Promise<boolean>;
}

export type BlobErrorCode = 'NotFound' | 'NoSpace' | 'Unavailable';

export class BlobError extends Error {
  readonly code: BlobErrorCode;
  constructor(code: BlobErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BlobError';
    this.code = code;
  }
}
