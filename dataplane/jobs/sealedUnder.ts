/** Whether any row names a key version: looked up in the rows themselves, for steps that cannot be undone. */
import type { Id, KeyPosition, Metadata, UploadPosition } from '../metadata/metadata.ts';

/** Rows that are looked at in one go. */
const PAGE = 1_000;

/**
 * Whether a version or an open upload of the bucket has its data key sealed under key version n. The kept counts say the
 * same, but no MAC covers them. Reads the whole bucket, page by page. Rejects with MetadataError.
 */
export async function isSealedUnder(
  metadata: Pick<Metadata, 'sealedVersions' | 'sealedUploads'>,
  bucketUid: Id,
  n: number,
): Promise<boolean> {
  const query = { bucketUid, below: n + 1, limit: PAGE };
  let afterVersion: KeyPosition | null = null;
  do {
    const page: Awaited<ReturnType<Metadata['sealedVersions']>> = await metadata.sealedVersions({
      ...query,
      after: afterVersion,
    });
    if (page.items.some((version) => version.n === n)) return true;
    afterVersion = page.next;
  } while (afterVersion !== null);
  let afterUpload: UploadPosition | null = null;
  do {
    const page: Awaited<ReturnType<Metadata['sealedUploads']>> = await metadata.sealedUploads({
      ...query,
      after: afterUpload,
    });
    if (page.items.some((upload) => upload.n === n)) return true;
    afterUpload = page.next;
  } while (afterUpload !== null);
  return false;
}
