/** Whether clients are uploading into a bucket. */
import type { Id, Metadata } from '../metadata/metadata.ts';

/** Reads one row. Rejects with MetadataError. */
export async function hasOpenUploads(
  metadata: Pick<Metadata, 'listUploads'>,
  bucketUid: Id,
): Promise<boolean> {
  const none = Buffer.alloc(0);
  const { uploads } = await metadata.listUploads({
    bucketUid,
    prefix: none,
    delimiter: null,
    afterKey: none,
    afterUploadId: null,
    limit: 1,
  });
  return uploads.length > 0;
}
