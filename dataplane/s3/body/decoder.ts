/**
 * Bodies of requests, taken out of their framing and proven by what the signature promised.
 *
 * Owns plain and aws-chunked payloads and the trailers behind them. It must not know objects, ciphers or files:
 * bytes go in as they came from the socket, slices of the same buffers come out.
 */
import { S3Error } from '../errors.ts';
import type { PayloadForm } from '../request.ts';
import { AwsChunkedDecoder } from './awsChunked.ts';
import type { BodyDecoder } from './bodyDecoder.ts';
import { ChunkSignatures } from './chunkSignatures.ts';
import { PlainDecoder } from './plain.ts';

/**
 * A decoder for one body. `decodedLength` is the announced length of the plaintext in bytes (Content-Length, or
 * x-amz-decoded-content-length of a chunked body; null: not announced); `expectedTrailers` are the names in
 * x-amz-trailer, which must all arrive. Others are returned as well, for the header rules to judge.
 * @throws S3Error MalformedTrailerError when trailers are announced for a form that has none.
 */
export function createBodyDecoder(
  payload: PayloadForm,
  decodedLength: number | null,
  expectedTrailers: readonly string[],
): BodyDecoder {
  const withTrailers = payload.kind === 'aws-chunked' && payload.trailer;
  if (expectedTrailers.length > 0 && !withTrailers) throw new S3Error('MalformedTrailerError');
  if (payload.kind === 'aws-chunked') {
    const signatures = payload.signing === null ? null : new ChunkSignatures(payload.signing);
    return new AwsChunkedDecoder(signatures, withTrailers, decodedLength, expectedTrailers);
  }
  return new PlainDecoder(payload.kind === 'sha256' ? payload.expected : null, decodedLength);
}
