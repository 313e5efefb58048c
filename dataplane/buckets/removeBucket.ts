/** Removes buckets for their owners: empty ones at once; of full ones it marks that they are to be purged. */
import type { BucketDocument } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { BucketClaimError, requireOwner } from './bucketClaim.ts';
import { changeBucket } from './bucketEncryption.ts';
import { isBare } from './isBare.ts';
import type { KeyMaking } from './makeBucketKey.ts';

export interface RemovalWish {
  readonly name: string;
  /** Who removes it; null: only a bucket that nobody declared. */
  readonly owner: string | null;
  /** ifEmpty: refused with 'NotEmpty' while it holds objects. purge: with all that it holds. */
  readonly mode: 'ifEmpty' | 'purge';
}

/**
 * Null: the bucket is gone. Otherwise it is Deleting: nobody sees it, nothing is committed into it any more, and the purge
 * (dataplane/jobs/purge.ts) takes it. Open uploads keep no bucket, as in S3. Its key versions become Retiring once it is
 * gone. Rejects with BucketClaimError and MetadataError.
 */
export async function removeBucket(
  { metadata, incarnation }: Pick<KeyMaking, 'metadata' | 'incarnation'>,
  { name, owner, mode }: RemovalWish,
): Promise<BucketDocument | null> {
  const bucket = await metadata.bucket(name);
  if (bucket === null) throw new MetadataError('NoSuchBucket', `there is no bucket ${name}`);
  requireOwner(bucket, owner);
  const { bucketUid, state } = bucket;
  if (state === 'Deleting') return bucket;
  if (state === 'Creating') {
    const versions = await metadata.keyVersions(bucketUid);
    if (versions.some(({ attempt }) => attempt === incarnation))
      throw new BucketClaimError('BeingMade', `the key of bucket ${name} is being made`);
  }
  // What the purge does is done in batches: open uploads may have any number of parts.
  if (mode === 'ifEmpty' || (await isBare(metadata, bucketUid))) {
    try {
      await metadata.deleteBucket(name, bucketUid, { state, owner });
      return null;
    } catch (error) {
      if (mode === 'ifEmpty' || !(error instanceof MetadataError && error.code === 'NotEmpty')) throw error;
    }
  }
  return await changeBucket(metadata, bucket, (current) => {
    requireOwner(current, owner);
    return { ...current, state: 'Deleting' };
  });
}
