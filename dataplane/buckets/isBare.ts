/** Whether a bucket holds nothing at all: neither objects nor open uploads, which S3's empty bucket may have. */
import type { Id, Metadata } from '../metadata/metadata.ts';

/** What this saw may be over when it resolves; a commit looks again. Rejects with MetadataError. */
export async function isBare(
  metadata: Pick<Metadata, 'usage' | 'listUploads'>,
  bucketUid: Id,
): Promise<boolean> {
  const { objects } = await metadata.usage(bucketUid);
  if (objects > 0) return false;
  const none = Buffer.alloc(0);
  const { uploads } = await metadata.listUploads({
    bucketUid,
    prefix: none,
    delimiter: null,
    afterKey: none,
    afterUploadId: null,
    limit: 1,
  });
  return uploads.length === 0;
}
