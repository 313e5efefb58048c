/** aws-chunked bodies written by code of its own, with places at which a test can spoil them. */
import { createHash, createHmac } from 'node:crypto';
import type { S3Access } from './clients.ts';
import { type RawRequest, type Signed, sign } from './signedRequest.ts';

export type ChunkedForm =
  | 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD'
  | 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER'
  | 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';

export interface ChunkedRequest extends Pick<RawRequest, 'method' | 'path' | 'query' | 'headers'> {
  readonly form: ChunkedForm;
  readonly chunks: readonly Buffer[];
  /** Sent behind the last chunk as they are. */
  readonly trailers?: readonly (readonly [string, string])[];
  /** What x-amz-trailer announces; default: the names of `trailers`. */
  readonly announced?: readonly string[];
  readonly decodedLength?: number | null;
  /** Changes a signature: `index` counts chunks, the empty one included; 'trailer' is that of the trailers. */
  readonly spoilSignature?: (index: number | 'trailer', signature: string) => string;
  /** Changes the framed body as a whole. */
  readonly spoilBody?: (body: Buffer) => Buffer;
  /** Under Transfer-Encoding: chunked, in pieces of this many bytes, without a Content-Length. */
  readonly httpChunkBytes?: number;
}

const EMPTY_SHA256 = createHash('sha256').digest('hex');

/** The whole request, ready for exchange(). */
export function chunkedRequest(access: S3Access, request: ChunkedRequest): Buffer {
  const { form, chunks } = request;
  const trailers = request.trailers ?? [];
  const announced = request.announced ?? trailers.map(([name]) => name);
  const decoded = request.decodedLength === undefined ? sum(chunks) : request.decodedLength;
  const headers: (readonly [string, string])[] = [
    ...(request.headers ?? []),
    ['content-encoding', 'aws-chunked'],
  ];
  if (decoded !== null) headers.push(['x-amz-decoded-content-length', String(decoded)]);
  if (announced.length > 0) headers.push(['x-amz-trailer', announced.join(',')]);
  // One time for all: a second may end between the signature of the chunks and that of the head.
  const signedMs = Date.now();
  const signed = (extra: readonly (readonly [string, string])[]): Signed =>
    sign(access, {
      method: request.method,
      path: request.path,
      ...(request.query === undefined ? {} : { query: request.query }),
      headers: [...headers, ...extra],
      payloadHash: form,
      signedMs,
      withoutLength: true,
    });
  // Neither length nor transfer coding is signed, so the seed stays the same.
  const framed = (request.spoilBody ?? ((body) => body))(frame(request, trailers, signed([])));
  if (request.httpChunkBytes === undefined) {
    return Buffer.concat([Buffer.from(signed([['content-length', String(framed.length)]]).head), framed]);
  }
  const pieces: Buffer[] = [Buffer.from(signed([['transfer-encoding', 'chunked']]).head)];
  for (let at = 0; at < framed.length; at += request.httpChunkBytes) {
    const piece = framed.subarray(at, at + request.httpChunkBytes);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
  }
  return Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]);
}

function frame(
  request: ChunkedRequest,
  trailers: readonly (readonly [string, string])[],
  signed: Signed,
): Buffer {
  const spoil = request.spoilSignature ?? ((_, signature) => signature);
  const isSigned = request.form !== 'STREAMING-UNSIGNED-PAYLOAD-TRAILER';
  const pieces: Buffer[] = [];
  let previous = signed.signature;
  const next = (kind: string, rest: string): string => {
    const text = `AWS4-HMAC-SHA256-${kind}\n${signed.timestamp}\n${signed.scope}\n${previous}\n${rest}`;
    previous = createHmac('sha256', signed.signingKey).update(text).digest('hex');
    return previous;
  };
  const all = [...request.chunks, Buffer.alloc(0)];
  for (const [index, chunk] of all.entries()) {
    const signature = next('PAYLOAD', `${EMPTY_SHA256}\n${createHash('sha256').update(chunk).digest('hex')}`);
    const extension = isSigned ? `;chunk-signature=${spoil(index, signature)}` : '';
    pieces.push(Buffer.from(`${chunk.length.toString(16)}${extension}\r\n`), chunk);
    if (chunk.length > 0) pieces.push(Buffer.from('\r\n'));
  }
  for (const [name, value] of trailers) pieces.push(Buffer.from(`${name}:${value}\r\n`));
  if (request.form === 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER') {
    const canonical = trailers
      .map(([name, value]) => `${name}:${value}\n`)
      .toSorted()
      .join('');
    const signature = next('TRAILER', createHash('sha256').update(canonical).digest('hex'));
    pieces.push(Buffer.from(`x-amz-trailer-signature:${spoil('trailer', signature)}\r\n`));
  }
  pieces.push(Buffer.from('\r\n'));
  return Buffer.concat(pieces);
}

function sum(chunks: readonly Buffer[]): number {
  return chunks.reduce((total, chunk) => total + chunk.length, 0);
}
