import { createHash, type Hash, timingSafeEqual } from 'node:crypto';
import { S3Error } from '../errors.ts';
import type { BodyDecoder, DecodedEnd } from './bodyDecoder.ts';
import { DecodedLength } from './decodedLength.ts';

/** A body that is its own plaintext, with or without the SHA-256 that was signed. */
export class PlainDecoder implements BodyDecoder {
  readonly #proof: { readonly hash: Hash; readonly expected: Buffer } | null;
  readonly #length: DecodedLength;

  constructor(expectedSha256: Buffer | null, decodedLength: number | null) {
    this.#proof = expectedSha256 === null ? null : { hash: createHash('sha256'), expected: expectedSha256 };
    this.#length = new DecodedLength(decodedLength);
  }

  push(chunk: Buffer): Buffer[] {
    if (chunk.length === 0) return [];
    this.#length.add(chunk.length);
    this.#proof?.hash.update(chunk);
    return [chunk];
  }

  end(): DecodedEnd {
    this.#length.end();
    if (this.#proof !== null) verifySha256(this.#proof.hash.digest(), this.#proof.expected);
    return { trailers: [] };
  }
}

function verifySha256(computed: Buffer, expected: Buffer): void {
  if (timingSafeEqual(computed, expected)) return;
  throw new S3Error('XAmzContentSHA256Mismatch', undefined, {
    details: {
      ClientComputedContentSHA256: expected.toString('hex'),
      S3ComputedContentSHA256: computed.toString('hex'),
    },
  });
}
