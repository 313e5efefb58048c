/** What the operations on a multipart upload share: finding it, opening it, its query parameters. */
import { bucketKey } from '../buckets/bucketKeys.ts';
import type { BucketDocument, UploadRow } from '../metadata/metadata.ts';
import { type OpenedUpload, openUpload } from '../objects/uploads.ts';
import { requireBucket, requireKey, type S3Context } from './context.ts';
import { S3Error } from './errors.ts';
import type { Query } from './request.ts';
import { isOutOfUse } from './sealingKeys.ts';
import type { S3Services } from './services.ts';

const MAX_PART_NUMBER = 10_000;

/** The upload that a request names, in its bucket. 404 NoSuchBucket, 404 NoSuchUpload, 403 AccessDenied. */
export async function requireUpload(
  context: S3Context,
): Promise<{ readonly bucket: BucketDocument; readonly upload: UploadRow }> {
  const { request, services } = context;
  const key = requireKey(request);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const upload = await services.metadata.upload(bucket.bucketUid, key, uploadIdOf(request.query));
  if (upload === null) throw noSuchUpload(request.query);
  return { bucket, upload };
}

export function uploadIdOf(query: Query): string {
  return query.get('uploadId') ?? '';
}

export function noSuchUpload(query: Query): S3Error {
  return new S3Error('NoSuchUpload', undefined, { details: { UploadId: uploadIdOf(query) } });
}

/**
 * Opens an upload with the bucket key that its data key is sealed under. Rejects with KmsError, FormatError. It may be
 * sealed anew between the reading of its row and the asking for the key, and the old key be out of use by then.
 */
export async function openStoredUpload(
  services: S3Services,
  upload: UploadRow,
  use: 'read' | 'write',
): Promise<OpenedUpload> {
  const { bucketUid, key, uploadId } = upload;
  try {
    return await openUpload(upload, (n) => bucketKey(services, bucketUid, n, use));
  } catch (error) {
    if (!isOutOfUse(error)) throw error;
    const newest = await services.metadata.upload(bucketUid, key, uploadId);
    if (newest === null || newest.sealed?.n === upload.sealed?.n) throw error;
    return await openStoredUpload(services, newest, use);
  }
}

/** partNumber of an upload request: 1 to 10,000, else InvalidArgument. */
export function partNumberOf(query: Query): number {
  const text = query.get('partNumber') ?? '';
  const partNumber = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (partNumber >= 1 && partNumber <= MAX_PART_NUMBER) return partNumber;
  throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', {
    details: { ArgumentName: 'partNumber', ArgumentValue: text },
  });
}
