/**
 * crypto/ owns the stored format (docs/format.md): how keys are derived and sealed, how a body becomes a blob, and what
 * authenticates records, parts, uploads and control rows. It is pure: no files, no network, no clock, no SQL, no HTTP;
 * it must not know where keys come from or where bytes go. This file holds the blob, one encrypted stream.
 */
import { type CipherGCM, createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { deriveStream, nonceFor, type StreamKeys, SUITE } from './blobHeader.ts';
import { FormatError } from './errors.ts';
import type { RandomSource } from './random.ts';
import { CIPHER, newSalt, requireEqual, SALT_BYTES } from './sealing.ts';
import { chunkCount, chunkSize, HEADER_BYTES, storedSize, TAG_BYTES } from './sizes.ts';

export interface SealOptions {
  readonly chunkLog2: number;
  /** Plaintext bytes to come, where known: then nothing is held back and nothing is copied. */
  readonly plaintextSize?: number;
  readonly random?: RandomSource;
}

/**
 * Seals one plaintext under a fresh salt. The stored form is header(), then all buffers from update() and final(), in
 * order. Pieces are used within the call only. After an error the sealer is of no more use.
 */
export class BlobSealer {
  readonly salt: Buffer;
  readonly #keys: StreamKeys;
  readonly #chunkBytes: number;
  readonly #plaintextSize: number | undefined;
  /** The chunk being written, where the size is known. */
  #cipher: CipherGCM | null = null;
  /** The chunk held back until it is known whether it is the last, where the size is not known. */
  #held: Buffer | null = null;
  #heldBytes = 0;
  #chunkIndex = 0;
  #plaintextBytes = 0;
  #finished = false;

  /** FormatError 'Malformed' for an impossible chunk size or plaintext size. */
  constructor(dataKey: KeyObject, options: SealOptions) {
    this.#chunkBytes = chunkSize(options.chunkLog2);
    if (options.plaintextSize !== undefined) chunkCount(options.plaintextSize, options.chunkLog2);
    this.#plaintextSize = options.plaintextSize;
    this.salt = newSalt(options.random);
    this.#keys = deriveStream(dataKey, SUITE, options.chunkLog2, this.salt);
  }

  /** Bytes of the stored form that were handed out, the header included. */
  get storedBytes(): number {
    return HEADER_BYTES + this.#plaintextBytes - this.#heldBytes + TAG_BYTES * this.#chunkIndex;
  }

  /** Plaintext bytes taken so far. */
  get plaintextBytes(): number {
    return this.#plaintextBytes;
  }

  /** The 72 bytes that the stored form begins with. */
  header(): Buffer {
    return this.#keys.header;
  }

  /** Takes the next piece of the plaintext. FormatError 'Malformed' when it exceeds the announced size. */
  update(piece: Uint8Array): Uint8Array[] {
    if (this.#finished) throw new FormatError('Malformed', 'the blob is finished');
    const stored: Uint8Array[] = [];
    if (this.#plaintextSize === undefined) this.#hold(piece, stored);
    else this.#stream(piece, this.#plaintextSize, stored);
    return stored;
  }

  /** Ends the plaintext. FormatError 'Malformed' when fewer bytes came than announced. */
  final(): Uint8Array[] {
    if (this.#finished) throw new FormatError('Malformed', 'the blob is finished');
    const stored: Uint8Array[] = [];
    if (this.#plaintextSize === undefined) {
      const last = this.#held?.subarray(0, this.#heldBytes) ?? Buffer.alloc(0);
      this.#heldBytes = 0;
      this.#sealChunk(last, true, stored);
      this.#held?.fill(0);
    } else {
      if (this.#plaintextBytes !== this.#plaintextSize) {
        throw new FormatError('Malformed', 'fewer bytes than the announced plaintext size');
      }
      if (this.#plaintextSize === 0) this.#sealChunk(Buffer.alloc(0), true, stored);
    }
    this.#finished = true;
    return stored;
  }

  /** Known size: the last flag of every chunk is known beforehand, so pieces go straight into its cipher. */
  #stream(piece: Uint8Array, plaintextSize: number, stored: Uint8Array[]): void {
    if (piece.length > plaintextSize - this.#plaintextBytes) {
      throw new FormatError('Malformed', 'more bytes than the announced plaintext size');
    }
    for (let at = 0; at < piece.length; ) {
      const chunkEnd = Math.min((this.#chunkIndex + 1) * this.#chunkBytes, plaintextSize);
      const take = Math.min(chunkEnd - this.#plaintextBytes, piece.length - at);
      this.#cipher ??= this.#newCipher(chunkEnd === plaintextSize);
      stored.push(this.#cipher.update(take === piece.length ? piece : piece.subarray(at, at + take)));
      at += take;
      this.#plaintextBytes += take;
      if (this.#plaintextBytes === chunkEnd) {
        this.#endChunk(this.#cipher, stored);
        this.#cipher = null;
      }
    }
  }

  /** Unknown size: a full chunk is sealed only once a byte after it has come. */
  #hold(piece: Uint8Array, stored: Uint8Array[]): void {
    for (let at = 0; at < piece.length; ) {
      if (this.#held !== null && this.#heldBytes === this.#chunkBytes) {
        this.#heldBytes = 0;
        this.#sealChunk(this.#held, false, stored);
      }
      let take = Math.min(this.#chunkBytes - this.#heldBytes, piece.length - at);
      if (this.#heldBytes === 0 && piece.length - at > this.#chunkBytes) {
        take = this.#chunkBytes;
        this.#sealChunk(piece.subarray(at, at + take), false, stored);
      } else {
        this.#held ??= Buffer.allocUnsafeSlow(this.#chunkBytes);
        this.#held.set(piece.subarray(at, at + take), this.#heldBytes);
        this.#heldBytes += take;
      }
      at += take;
      this.#plaintextBytes += take;
    }
  }

  #sealChunk(plaintext: Uint8Array, isLast: boolean, stored: Uint8Array[]): void {
    const cipher = this.#newCipher(isLast);
    if (plaintext.length > 0) stored.push(cipher.update(plaintext));
    this.#endChunk(cipher, stored);
  }

  #newCipher(isLast: boolean): CipherGCM {
    return createCipheriv(CIPHER, this.#keys.streamKey, nonceFor(this.#chunkIndex, isLast), {
      authTagLength: TAG_BYTES,
    });
  }

  #endChunk(cipher: CipherGCM, stored: Uint8Array[]): void {
    // GCM is a stream: final() computes the tag and has no bytes of its own.
    cipher.final();
    stored.push(cipher.getAuthTag());
    this.#chunkIndex += 1;
  }
}

/** What the authenticated record says about a blob. Nothing of this is ever taken from the blob itself. */
export interface BlobFacts {
  readonly suite: number;
  readonly chunkLog2: number;
  readonly salt: Uint8Array;
  readonly plaintextSize: number;
}

/** Opens chunks of one blob in any order, after its header was checked. */
export class BlobOpener {
  readonly #keys: StreamKeys;
  readonly #chunkBytes: number;
  readonly #chunkCount: number;
  readonly #plaintextSize: number;
  #headerChecked = false;

  /** FormatError 'Malformed' for a suite, chunk size, salt or plaintext size that this format does not have. */
  constructor(dataKey: KeyObject, facts: BlobFacts) {
    if (facts.suite !== SUITE) throw new FormatError('Malformed', `suite ${facts.suite} is not known`);
    if (facts.salt.length !== SALT_BYTES)
      throw new FormatError('Malformed', 'the salt of a blob has 32 bytes');
    this.#chunkBytes = chunkSize(facts.chunkLog2);
    this.#chunkCount = chunkCount(facts.plaintextSize, facts.chunkLog2);
    this.#plaintextSize = facts.plaintextSize;
    this.#keys = deriveStream(dataKey, facts.suite, facts.chunkLog2, facts.salt);
  }

  /**
   * Compares the blob's first 72 bytes with the record and with the commitment of the data key, before anything is
   * decrypted. `stored` may be longer. FormatError 'Integrity' otherwise.
   */
  checkHeader(stored: Uint8Array): void {
    requireEqual('blob header', this.#keys.header, stored.subarray(0, HEADER_BYTES));
    this.#headerChecked = true;
  }

  /**
   * The verified plaintext of chunk `index`, whose ciphertext and tag `stored` is exactly. FormatError 'Integrity' when
   * it does not verify; 'Malformed' for an index that the blob does not have, or before checkHeader().
   */
  openChunk(index: number, stored: Uint8Array): Buffer {
    if (!this.#headerChecked) throw new FormatError('Malformed', 'the header of the blob was not checked');
    if (!Number.isInteger(index) || index < 0 || index >= this.#chunkCount) {
      throw new FormatError('Malformed', 'the blob has no such chunk');
    }
    const isLast = index === this.#chunkCount - 1;
    const plaintextBytes = isLast ? this.#plaintextSize - index * this.#chunkBytes : this.#chunkBytes;
    // Before the tag is split off: a short chunk must never shift what counts as the tag.
    if (stored.length !== plaintextBytes + TAG_BYTES)
      throw new FormatError('Integrity', 'a chunk has the wrong length');
    const nonce = nonceFor(index, isLast);
    const decipher = createDecipheriv(CIPHER, this.#keys.streamKey, nonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(stored.subarray(plaintextBytes));
    const plaintext = decipher.update(stored.subarray(0, plaintextBytes));
    try {
      decipher.final();
    } catch (cause) {
      plaintext.fill(0);
      throw new FormatError('Integrity', 'a chunk does not verify', { cause });
    }
    return plaintext;
  }
}

/** Opens a blob that is in memory as a whole, such as an inline body. FormatError 'Integrity' when any of it is wrong. */
export function openWholeBlob(dataKey: KeyObject, facts: BlobFacts, stored: Uint8Array): Buffer {
  const opener = new BlobOpener(dataKey, facts);
  if (stored.length !== storedSize(facts.plaintextSize, facts.chunkLog2)) {
    throw new FormatError('Integrity', 'the blob has the wrong length');
  }
  opener.checkHeader(stored);
  const step = chunkSize(facts.chunkLog2) + TAG_BYTES;
  const count = chunkCount(facts.plaintextSize, facts.chunkLog2);
  const chunks = Array.from({ length: count }, (_, index) => {
    const start = HEADER_BYTES + index * step;
    return opener.openChunk(index, stored.subarray(start, start + step));
  });
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks);
}
