/** The repetition of a CompleteMultipartUpload whose answer did not arrive: it says the same again. */
import { createHash } from 'node:crypto';
import type { ObjectChecksum } from '../crypto/record.ts';
import type { BucketDocument, PinnedVersion } from '../metadata/metadata.ts';
import { etagText } from '../objects/version.ts';
import { checksumText } from './checksumHeaders.ts';
import { openStored } from './readObject.ts';
import type { S3Services } from './services.ts';
import type { ShownChecksum } from './xml/checksums.ts';
import type { CompletedPart } from './xml/requests.ts';

/** What the client is told of the object, whether this request or an earlier one made it. */
export interface CompletedObject {
  /** Without quotes. */
  readonly etag: string;
  readonly checksum: ShownChecksum | null;
}

/** As the answer shows an object of parts. */
export function completedObject(
  md5: Uint8Array,
  partCount: number,
  checksum: ObjectChecksum | null,
): CompletedObject {
  return {
    etag: etagText(md5, partCount),
    checksum:
      checksum === null
        ? null
        : {
            algorithm: checksum.algorithm,
            type: checksum.type,
            value: checksumText(checksum, partCount),
          },
  };
}

/** The version that this upload made, if it is still the current one of its key. */
export async function completedVersion(
  services: S3Services,
  bucket: BucketDocument,
  key: Uint8Array,
  uploadId: string,
): Promise<PinnedVersion | null> {
  const { bucketUid } = bucket;
  const versionId = await services.metadata.completedUpload(bucketUid, key, uploadId);
  if (versionId === null) return null;
  const pinned = await services.metadata.currentVersion(bucketUid, key);
  if (pinned === null || pinned.version.versionId === versionId) return pinned;
  pinned.release();
  return null;
}

/** The object that an earlier Complete made of exactly these parts; null when there is none. */
export async function earlierObject(
  services: S3Services,
  bucket: BucketDocument,
  key: Uint8Array,
  uploadId: string,
  listed: readonly CompletedPart[],
): Promise<CompletedObject | null> {
  const pinned = await completedVersion(services, bucket, key, uploadId);
  if (pinned === null) return null;
  try {
    const { record, version } = await openStored(services, bucket, pinned);
    const md5 = createHash('md5');
    for (const { etag } of listed) md5.update(Buffer.from(etag, 'hex'));
    if (version.partCount !== listed.length || !md5.digest().equals(record.md5)) return null;
    return completedObject(record.md5, version.partCount, record.checksums[0] ?? null);
  } finally {
    pinned.release();
  }
}
