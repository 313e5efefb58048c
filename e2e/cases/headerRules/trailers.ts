/** Trailers behind a body: of aws-chunked, unsigned and signed, and of HTTP itself. */
import { createHash, createHmac } from 'node:crypto';
import type { S3Access } from '../../harness/clients.ts';
import { exchange, type RawAnswer, type RawRequest, sign } from '../../harness/signedRequest.ts';

export interface Trailers {
  readonly by: 'aws-chunked' | 'signed aws-chunked' | 'HTTP';
  /** In x-amz-trailer, or in Trailer. */
  readonly announced: boolean;
  readonly pairs: readonly (readonly [string, string])[];
}

/** Signatures of the chunk with the body, the empty chunk and the trailers. */
type ChunkSignatures = readonly [body: string, empty: string, trailers: string];

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

/** Sends a request whose body is followed by trailers. */
export function sendTrailers(access: S3Access, request: RawRequest, trailers: Trailers): Promise<RawAnswer> {
  const { by, announced, pairs } = trailers;
  const body = request.body ?? Buffer.alloc(0);
  const headers: [string, string][] = [
    ['content-encoding', 'aws-chunked'],
    ['x-amz-decoded-content-length', String(body.length)],
  ];
  const names = [...new Set(pairs.map(([name]) => name))].join(',');
  if (announced) headers.push([by === 'HTTP' ? 'trailer' : 'x-amz-trailer', names]);
  if (by === 'HTTP') headers.push(['transfer-encoding', 'chunked']);
  const signed = by === 'signed aws-chunked';
  const framing = (signatures: ChunkSignatures | null): Buffer => {
    const lines = pairs.map(([name, value]) => `${name}:${value}\r\n`).join('');
    if (by === 'HTTP') return framed(framed(body, '', null), lines, null);
    return framed(body, lines, signatures);
  };
  const zeros = '0'.repeat(64);
  const said = sign(access, {
    ...request,
    headers: [...(request.headers ?? []), ...headers],
    payloadHash: `STREAMING-${signed ? 'AWS4-HMAC-SHA256' : 'UNSIGNED'}-PAYLOAD-TRAILER`,
    withoutLength: by === 'HTTP',
    // Its length is told before its signatures are known.
    wireBody: framing(signed ? [zeros, zeros, zeros] : null),
  });
  const { timestamp, scope, signingKey, signature } = said;
  const next = (previous: string, kind: string, rest: string): string => {
    const text = `AWS4-HMAC-SHA256-${kind}\n${timestamp}\n${scope}\n${previous}\n${rest}`;
    return createHmac('sha256', signingKey).update(text).digest('hex');
  };
  const ofBody = body.length === 0 ? signature : next(signature, 'PAYLOAD', `${sha256('')}\n${sha256(body)}`);
  const ofEmpty = next(ofBody, 'PAYLOAD', `${sha256('')}\n${sha256('')}`);
  const sorted = pairs.toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)));
  const canonical = sorted.map(([name, value]) => `${name}:${value}\n`);
  const ofTrailers = next(ofEmpty, 'TRAILER', sha256(canonical.join('')));
  const wire = framing(signed ? [ofBody, ofEmpty, ofTrailers] : null);
  const bytes = Buffer.concat([Buffer.from(said.head, 'latin1'), wire]);
  return exchange(access.endpoint, bytes, { method: request.method });
}

/** The framing that HTTP and aws-chunked share, with the signatures that only the latter has. */
function framed(content: Buffer, trailerLines: string, signatures: ChunkSignatures | null): Buffer {
  const [ofContent, ofEmpty, ofTrailers] = (signatures ?? []).map(
    (signature) => `;chunk-signature=${signature}`,
  );
  const size = Buffer.from(`${content.length.toString(16)}${ofContent ?? ''}\r\n`);
  const chunk = content.length === 0 ? [] : [size, content, Buffer.from('\r\n')];
  const signature =
    ofTrailers === undefined
      ? ''
      : `x-amz-trailer-signature:${ofTrailers.slice(ofTrailers.indexOf('=') + 1)}\r\n`;
  return Buffer.concat([...chunk, Buffer.from(`0${ofEmpty ?? ''}\r\n${trailerLines}${signature}\r\n`)]);
}
