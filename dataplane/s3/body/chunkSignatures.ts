import { createHash, createHmac, type Hash, hash, timingSafeEqual } from 'node:crypto';
import { S3Error } from '../errors.ts';
import type { ChunkSigning } from '../request.ts';

/** SHA-256 of nothing. */
const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/**
 * The chain of signatures through an aws-chunked body, each signing the one before.
 * Source: S3 API, "Signature calculations for the Authorization header: transferring payload in multiple chunks".
 */
export class ChunkSignatures {
  readonly #signing: ChunkSigning;
  #previous: string;
  #hash: Hash | null = null;

  constructor(signing: ChunkSigning) {
    this.#signing = signing;
    this.#previous = signing.seedSignature;
  }

  /** More bytes of the chunk at hand. */
  update(bytes: Uint8Array): void {
    this.#hash ??= createHash('sha256');
    this.#hash.update(bytes);
  }

  /** @throws S3Error SignatureDoesNotMatch unless `signature` (hex) is that of the bytes since the last chunk. */
  verifyChunk(signature: string): void {
    const digest = this.#hash === null ? EMPTY_SHA256 : this.#hash.digest('hex');
    this.#hash = null;
    this.#verify('AWS4-HMAC-SHA256-PAYLOAD', `${EMPTY_SHA256}\n${digest}`, signature);
  }

  /** @throws S3Error SignatureDoesNotMatch unless `signature` is that of the trailers (lower-case names, trimmed). */
  verifyTrailers(trailers: readonly (readonly [string, string])[], signature: string): void {
    const sorted = trailers.toSorted((a, b) => (a[0] < b[0] ? -1 : Number(a[0] > b[0])));
    const canonical = sorted.map(([name, value]) => `${name}:${value}\n`).join('');
    const digest = hash('sha256', Buffer.from(canonical, 'latin1'), 'hex');
    this.#verify('AWS4-HMAC-SHA256-TRAILER', digest, signature);
  }

  #verify(algorithm: string, hashes: string, signature: string): void {
    const { timestamp, scope, signingKey } = this.#signing;
    const stringToSign = `${algorithm}\n${timestamp}\n${scope}\n${this.#previous}\n${hashes}`;
    const expected = createHmac('sha256', signingKey).update(stringToSign, 'latin1').digest();
    if (!/^[0-9a-fA-F]{64}$/.test(signature) || !timingSafeEqual(Buffer.from(signature, 'hex'), expected)) {
      throw new S3Error('SignatureDoesNotMatch', undefined, {
        details: { StringToSign: stringToSign, SignatureProvided: signature },
      });
    }
    this.#previous = expected.toString('hex');
  }
}
