/** What a request says about the object bytes in its body, checked before any of them is read. */

import { createBodyDecoder } from './body/decoder.ts';
import type { ReceiveOptions } from './body/receive.ts';
import { S3Error } from './errors.ts';
import { requestedContentMd5 } from './integrity/contentMd5.ts';
import { announcedTrailers, requestedChecksum } from './integrity/requestedChecksum.ts';
import type { HeaderBag, S3Request } from './request.ts';

/** 5 GiB: the largest single PUT or part. */
export const MAX_PUT_BYTES = 5 * 1024 ** 3;

/**
 * Describes the object bytes of a PUT: their decoded size, how they are framed, what must prove them. With
 * `checksumsElsewhere` the checksum headers are not this body's. Errors: MissingContentLength, EntityTooLarge,
 * InvalidDigest, InvalidRequest (checksum headers).
 */
export function objectBody(
  request: Pick<S3Request, 'headers' | 'payload'>,
  checksumsElsewhere = false,
): ReceiveOptions {
  const { headers, payload } = request;
  const size = payload.kind === 'aws-chunked' ? decodedLength(headers) : contentLength(headers);
  if (size === null) throw new S3Error('MissingContentLength');
  if (size > MAX_PUT_BYTES) {
    throw new S3Error('EntityTooLarge', undefined, {
      details: { ProposedSize: String(size), MaxSizeAllowed: String(MAX_PUT_BYTES) },
    });
  }
  return {
    size,
    decoder: createBodyDecoder(payload, size, announcedTrailers(headers)),
    contentMd5: requestedContentMd5(headers),
    checksum: checksumsElsewhere ? null : requestedChecksum(headers),
  };
}

/** Content-Length in bytes; null when it is missing or not a length. */
export function contentLength(headers: HeaderBag): number | null {
  return lengthOf(headers.get('content-length'));
}

function decodedLength(headers: HeaderBag): number | null {
  return lengthOf(headers.get('x-amz-decoded-content-length'));
}

function lengthOf(text: string | undefined): number | null {
  if (text === undefined || !/^\d+$/.test(text.trim())) return null;
  return Number(text);
}
