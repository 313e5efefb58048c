import { receiveBody } from './body/receive.ts';
import type { S3Context } from './context.ts';
import { S3Error } from './errors.ts';
import { objectBody } from './requestBody.ts';

/**
 * Receives a whole XML body, its digests checked. MaxMessageLengthExceeded above the limit, MissingRequestBodyError
 * when it is required and empty.
 */
export async function receiveDocument(
  context: S3Context,
  options: { readonly maxBytes: number; readonly required: boolean },
): Promise<Buffer> {
  const { request, exchange } = context;
  const { headers } = request;
  const absent = !headers.has('content-length') && !headers.has('transfer-encoding');
  if (absent && !options.required) return Buffer.alloc(0);
  const body = objectBody(request);
  if (body.size > options.maxBytes) throw new S3Error('MaxMessageLengthExceeded');
  const pieces: Uint8Array[] = [];
  const sink = {
    write: (piece: Uint8Array): undefined => {
      pieces.push(piece);
    },
  };
  await receiveBody(exchange, sink, body);
  if (body.size === 0 && options.required) throw new S3Error('MissingRequestBodyError');
  return Buffer.concat(pieces);
}
