import { type RuleSubject, withTrailers } from '../headers/rules.ts';
import { receiveBody } from './body/receive.ts';
import { checkEncryptionHeaders, type S3Context } from './context.ts';
import { S3Error } from './errors.ts';
import { objectBody } from './requestBody.ts';

export interface DocumentOptions {
  readonly maxBytes: number;
  readonly required: boolean;
  /** What the header rules are asked about again once the trailers are known. */
  readonly subject: RuleSubject;
  /** The checksum headers speak of something else than this body (CompleteMultipartUpload: of the object). */
  readonly checksumsElsewhere?: boolean;
}

export interface ReceivedDocument {
  readonly bytes: Buffer;
  /** What the header rules say, trailers included. */
  readonly encrypted: boolean;
}

/**
 * Receives a whole XML body, its digests checked. MaxMessageLengthExceeded above the limit, MissingRequestBodyError
 * when it is required and empty, InvalidArgument for a trailer that the header rules refuse.
 */
export async function receiveDocument(
  context: S3Context,
  options: DocumentOptions,
): Promise<ReceivedDocument> {
  const { request, exchange } = context;
  const { headers, encryption } = request;
  const absent = !headers.has('content-length') && !headers.has('transfer-encoding');
  if (absent && !options.required) {
    const { encrypted } = checkEncryptionHeaders(context, options.subject, withTrailers(encryption, []));
    return { bytes: Buffer.alloc(0), encrypted };
  }
  const body = objectBody(request, options.checksumsElsewhere);
  if (body.size > options.maxBytes) throw new S3Error('MaxMessageLengthExceeded');
  const pieces: Uint8Array[] = [];
  const sink = {
    keepsPieces: true,
    write: (piece: Uint8Array): undefined => {
      pieces.push(piece);
    },
  };
  const { trailers } = await receiveBody(exchange, sink, body);
  const { encrypted } = checkEncryptionHeaders(context, options.subject, withTrailers(encryption, trailers));
  if (body.size === 0 && options.required) throw new S3Error('MissingRequestBodyError');
  return { bytes: Buffer.concat(pieces), encrypted };
}
