import { S3Error } from '../s3/errors.ts';
import type { ChunkSigning, PayloadForm } from '../s3/request.ts';

const ALLOWED =
  'UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER or a valid sha256 value.';

/**
 * What x-amz-content-sha256 says about the body. Call it only for a verified signature: `signing` seeds the
 * signatures of the chunks.
 * @throws S3Error InvalidArgument for an unknown value, NotImplemented for SigV4A.
 */
export function payloadForm(contentSha256: string, signing: ChunkSigning): PayloadForm {
  switch (contentSha256) {
    case 'UNSIGNED-PAYLOAD':
      return { kind: 'unsigned' };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
      return { kind: 'aws-chunked', signing, trailer: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { kind: 'aws-chunked', signing, trailer: true };
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { kind: 'aws-chunked', signing: null, trailer: true };
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER':
      throw new S3Error('NotImplemented', `The payload form ${contentSha256} is not implemented.`);
    default:
  }
  if (/^[0-9a-fA-F]{64}$/.test(contentSha256)) {
    return { kind: 'sha256', expected: Buffer.from(contentSha256, 'hex') };
  }
  throw new S3Error('InvalidArgument', `x-amz-content-sha256 must be ${ALLOWED}`, {
    details: { ArgumentName: 'x-amz-content-sha256', ArgumentValue: contentSha256 },
  });
}
