/**
 * Makes buckets, for the S3 API today and any other front later: one piece of code, so that a bucket key is made in
 * one way only.
 *
 * The order is docs/kms.md, "Key life cycle": the row reserves the unique key name first, and until its key is ready
 * an encrypted bucket is Creating: nobody but the CreateBucket that resumes it sees it.
 */
import { newId } from '../crypto/ids.ts';
import type { BucketDocument, KeyVersionDocument } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import {
  type KeyMaking,
  makeBucketKey,
  releaseAttempt,
  reserveKeyVersion,
  resumeAttempt,
} from './makeBucketKey.ts';

export interface NewBucket {
  readonly name: string;
  readonly ownerId: string;
  readonly region: string;
  /** The connection whose KMS makes the key; null = a plain bucket. */
  readonly kmsConnection: string | null;
}

/** The name is taken: by the caller's own bucket, by another's, or by one whose key is being made. */
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
  const bucketUid = newId();
  const encrypted = wish.kmsConnection !== null;
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
    rotateEveryMs: null,
  };
  const reserved =
    wish.kmsConnection === null ? null : reserveKeyVersion(making, bucketUid, wish.kmsConnection);
  const existing = await making.metadata.createBucket(bucket, reserved);
  if (existing !== null) {
    await resumeCreation(making, wish, existing);
    return;
  }
  if (reserved === null) return;
  await finishCreation(making, bucket, reserved, 'fresh');
}

async function resumeCreation(making: KeyMaking, wish: NewBucket, existing: BucketDocument): Promise<void> {
  if (existing.ownerId !== wish.ownerId) throw new BucketTakenError('other');
  if (existing.state === 'Ready') throw new BucketTakenError('owner');
  if (wish.kmsConnection === null) throw new BucketTakenError('creation');
  const row = await making.metadata.keyVersion(existing.bucketUid, 1);
  if (row === null)
    throw new MetadataError('Integrity', `bucket ${existing.bucketUid} lost its first key version`);
  const resumed = await resumeAttempt(making, row);
  if (resumed === null) throw new BucketTakenError('creation');
  await finishCreation(making, existing, resumed, 'resumed');
}

async function finishCreation(
  making: KeyMaking,
  bucket: BucketDocument,
  reserved: KeyVersionDocument,
  attempt: 'fresh' | 'resumed',
): Promise<void> {
  const made = await makeBucketKey(making, reserved, attempt, async () => {
    await making.metadata.dropReservation(bucket.name, bucket.bucketUid);
  });
  try {
    await making.metadata.updateBucket(
      { ...bucket, revision: bucket.revision + 1, state: 'Ready', keyVersion: made.n },
      [made],
    );
  } catch (error) {
    await releaseAttempt(making, made);
    throw error;
  }
}
