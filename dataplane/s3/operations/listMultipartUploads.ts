import { checkEncryptionHeaders, type Operation, requireBucket } from '../context.ts';
import { XML_CONTENT } from '../exchange.ts';
import { delimiterOf, encodingTypeOf, pageLimit } from '../paging.ts';
import { listMultipartUploadsXml } from '../xml/listings.ts';

const MAX_UPLOADS = 1000;

/** ListMultipartUploads: open uploads by key, then upload id, in pages. */
export const listMultipartUploads: Operation = async (context) => {
  const { request, services } = context;
  const { query } = request;
  const maxUploads = pageLimit(query, 'max-uploads', MAX_UPLOADS);
  const encodingType = encodingTypeOf(query);
  const delimiter = delimiterOf(query);
  const prefix = Buffer.from(query.get('prefix') ?? '');
  const keyMarker = Buffer.from(query.get('key-marker') ?? '');
  // As S3: without a key the upload id says nothing.
  const uploadIdMarker = keyMarker.length === 0 ? '' : (query.get('upload-id-marker') ?? '');
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  const { uploads, commonPrefixes, next } =
    maxUploads === 0
      ? { uploads: [], commonPrefixes: [], next: null }
      : await services.metadata.listUploads({
          bucketUid: bucket.bucketUid,
          prefix,
          delimiter,
          afterKey: keyMarker,
          afterUploadId: uploadIdMarker === '' ? null : uploadIdMarker,
          limit: maxUploads,
        });
  const body = listMultipartUploadsXml({
    bucket: bucket.name,
    keyMarker,
    uploadIdMarker,
    nextKeyMarker: next?.key ?? null,
    nextUploadIdMarker: next === null ? null : (next.uploadId ?? ''),
    prefix,
    delimiter,
    maxUploads,
    encodingType,
    isTruncated: next !== null,
    uploads,
    commonPrefixes,
  });
  return { status: 200, headers: XML_CONTENT, body };
};
