/**
 * Makes buckets, for the S3 API and for declarations: one piece of code, so that a bucket key is made in one way only.
 *
 * The order is docs/kms.md, "Key life cycle": the row reserves the unique key name first, and until its key is ready
 * an encrypted bucket is Creating: nobody but the request that resumes it sees it.
 */
import { newId } from '../crypto/ids.ts';
import type { BucketDocument } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { claimFirstKey, type FirstKey, type FirstKeyWish } from './firstKey.ts';
import { type KeyMaking, makeBucketKey, releaseAttempt, reserveKeyVersion } from './makeBucketKey.ts';

export interface NewBucket {
  readonly name: string;
  readonly ownerId: string;
  readonly region: string;
  /** The connection whose KMS makes the key; null = a plain bucket. */
  readonly kmsConnection: string | null;
  /** Of a bucket that a resource declares; without it the bucket is made over S3. */
  readonly declared?: Pick<BucketDocument, 'rotateEveryMs' | 'kmsConnection'> & {
    readonly owner: string;
    /** The request to rotate that its key answers. */
    readonly answers: string | null;
  };
}

/** The name is taken: by the caller's own bucket, by another's, or by one that is being made or purged. */
export class BucketTakenError extends Error {
  readonly by: 'owner' | 'other' | 'creation';
  constructor(by: 'owner' | 'other' | 'creation') {
    super(`the bucket name is taken (${by})`);
    this.name = 'BucketTakenError';
    this.by = by;
  }
}

/** Creates the bucket and, for an encrypted one, its key. Rejects with BucketTakenError, KmsError or MetadataError. */
export async function createBucket(making: KeyMaking, wish: NewBucket): Promise<void> {
  const existing = await beginCreation(making, wish);
  if (existing === null) return;
  if (existing.ownerId !== wish.ownerId) throw new BucketTakenError('other');
  if (existing.state === 'Ready') throw new BucketTakenError('owner');
  // One that is declared is finished by its resource.
  const resumable = existing.state === 'Creating' && existing.owner === null;
  if (wish.kmsConnection === null || !resumable) throw new BucketTakenError('creation');
  const { kmsConnection } = wish;
  const claimed = await claimCreation(making, existing, { kmsConnection, otherConnection: 'resume' });
  if (claimed === null) throw new BucketTakenError('creation');
  await finishCreation(making, existing, claimed);
}

/**
 * Creates the bucket with its key, or resolves to the one that has the name already, untouched; null: it was made. Rejects
 * with KmsError and MetadataError; then the name is free again, or the bucket stays Creating and its creation is resumed.
 */
export async function beginCreation(making: KeyMaking, wish: NewBucket): Promise<BucketDocument | null> {
  const bucketUid = newId();
  const { kmsConnection, declared } = wish;
  const encrypted = kmsConnection !== null;
  const bucket: BucketDocument = {
    name: wish.name,
    bucketUid,
    revision: 0,
    ownerId: wish.ownerId,
    region: wish.region,
    createdMs: making.now(),
    state: encrypted ? 'Creating' : 'Ready',
    encryption: encrypted ? 'AES256' : null,
    keyVersion: null,
    everPlain: !encrypted,
    versioning: 'Unversioned',
    rotateEveryMs: declared?.rotateEveryMs ?? null,
    owner: declared?.owner ?? null,
    kmsConnection: declared?.kmsConnection ?? null,
  };
  const answers = declared?.answers ?? null;
  const row = encrypted ? reserveKeyVersion(making, bucketUid, kmsConnection, { answers }) : null;
  const existing = await making.metadata.createBucket(bucket, row);
  if (existing === null && row !== null) await finishCreation(making, bucket, { row, attempt: 'fresh' });
  return existing;
}

/** Takes over the creation of a bucket in state Creating; null while another request is at it. Rejects as claimFirstKey. */
export async function claimCreation(
  making: KeyMaking,
  { bucketUid }: BucketDocument,
  wish: FirstKeyWish,
): Promise<FirstKey | null> {
  if ((await making.metadata.keyVersions(bucketUid)).length === 0)
    throw new MetadataError('Integrity', `bucket ${bucketUid} lost its first key version`);
  return await claimFirstKey(making, bucketUid, wish);
}

/** Makes the key and then the bucket Ready, with the other settings that `bucket` has. Resolves to what is stored. */
export async function finishCreation(
  making: KeyMaking,
  bucket: BucketDocument,
  { row, attempt }: FirstKey,
): Promise<BucketDocument> {
  const made = await makeBucketKey(making, row, attempt, async () => {
    // With a later version than the first, an earlier one may have a key that is still to be revoked.
    if (row.n === 1) await making.metadata.dropReservation(bucket.name, bucket.bucketUid);
    else await releaseAttempt(making, row);
  });
  const ready: BucketDocument = {
    ...bucket,
    revision: bucket.revision + 1,
    state: 'Ready',
    keyVersion: made.n,
  };
  try {
    await making.metadata.updateBucket(ready, [made]);
    return ready;
  } catch (error) {
    await releaseAttempt(making, made);
    throw error;
  }
}
