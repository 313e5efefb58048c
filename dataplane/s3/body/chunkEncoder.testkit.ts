/** Writes aws-chunked bodies the way a client does. Used by tests only. */
import { createHash } from 'node:crypto';
import { EMPTY_SHA256, hmacHex, SCOPE, signingKey, TIMESTAMP } from '../../auth/signer.testkit.ts';
import type { ChunkSigning } from '../request.ts';

type Trailers = readonly (readonly [string, string])[];

export const SIGNING: ChunkSigning = {
  signingKey: signingKey(),
  timestamp: TIMESTAMP,
  scope: SCOPE,
  seedSignature: '5eed'.repeat(16),
};

/** `sizes` cut the content into chunks; what they leave goes into a last one. */
export function chunksOf(content: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, content.length]) {
    if (size > 0 && at < content.length) chunks.push(content.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

export function unsignedBody(chunks: readonly Buffer[], trailers: Trailers = []): Buffer {
  const pieces = chunks.flatMap((chunk) => [`${chunk.length.toString(16)}\r\n`, chunk, '\r\n']);
  return join([...pieces, '0\r\n', ...trailers.map(([name, value]) => `${name}:${value}\r\n`), '\r\n']);
}

/** `trailers` null: the form without a trailer, and so without its signature. */
export function signedBody(chunks: readonly Buffer[], trailers: Trailers | null = null): Buffer {
  const pieces: (string | Buffer)[] = [];
  let previous = SIGNING.seedSignature;
  const sign = (kind: string, rest: string): string => {
    previous = hmacHex(
      SIGNING.signingKey,
      `AWS4-HMAC-SHA256-${kind}\n${TIMESTAMP}\n${SCOPE}\n${previous}\n${rest}`,
    );
    return previous;
  };
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    const signature = sign('PAYLOAD', `${EMPTY_SHA256}\n${sha256(chunk)}`);
    pieces.push(`${chunk.length.toString(16)};chunk-signature=${signature}\r\n`, chunk);
    if (chunk.length > 0) pieces.push('\r\n');
  }
  if (trailers !== null) {
    const canonical = trailers.map(([name, value]) => `${name.toLowerCase()}:${value}\n`);
    pieces.push(...trailers.map(([name, value]) => `${name}:${value}\r\n`));
    pieces.push(`x-amz-trailer-signature:${sign('TRAILER', sha256(canonical.toSorted().join('')))}\r\n`);
  }
  return join([...pieces, '\r\n']);
}

function sha256(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function join(pieces: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
}
