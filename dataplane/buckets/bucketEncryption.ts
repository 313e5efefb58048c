/** Switches the encryption of an existing bucket on and off, for what is written from then on. */
import type { BucketDocument, Metadata } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { BucketTakenError } from './createBucket.ts';
import {
  type KeyMaking,
  makeBucketKey,
  releaseAttempt,
  reserveKeyVersion,
  resumeAttempt,
} from './makeBucketKey.ts';

const UPDATE_ATTEMPTS = 8;

/**
 * Later writes are encrypted. A bucket that already names a key keeps it: never is a second one made for it.
 * Rejects with BucketTakenError 'creation' while another request makes the key, KmsError, MetadataError.
 */
export async function enableEncryption(
  making: KeyMaking,
  bucket: BucketDocument,
  kmsConnection: string,
): Promise<void> {
  if (bucket.encryption === 'AES256') return;
  if (bucket.keyVersion !== null) {
    await changeBucket(making.metadata, bucket, (current) => ({ ...current, encryption: 'AES256' }));
    return;
  }
  const { metadata } = making;
  const existing = await metadata.keyVersion(bucket.bucketUid, 1);
  const reserved = existing ?? reserveKeyVersion(making, bucket.bucketUid, kmsConnection);
  if (existing === null) await reserve(making, reserved);
  const mine = existing === null ? reserved : await resumeAttempt(making, existing);
  if (mine === null) throw new BucketTakenError('creation');
  const release = () => releaseAttempt(making, mine);
  const made = await makeBucketKey(making, mine, existing === null ? 'fresh' : 'resumed', release);
  try {
    await changeBucket(
      metadata,
      bucket,
      (current) => ({ ...current, encryption: 'AES256', keyVersion: made.n }),
      [made],
    );
  } catch (error) {
    await release();
    throw error;
  }
}

/** Later writes are plain; what is there stays encrypted and readable. */
export async function disableEncryption(metadata: Metadata, bucket: BucketDocument): Promise<void> {
  if (bucket.encryption === null) return;
  await changeBucket(metadata, bucket, (current) => ({ ...current, encryption: null, everPlain: true }));
}

async function reserve(making: KeyMaking, row: Parameters<Metadata['putKeyVersion']>[0]): Promise<void> {
  try {
    await making.metadata.putKeyVersion(row);
  } catch (error) {
    if (error instanceof MetadataError && error.code === 'Conflict') throw new BucketTakenError('creation');
    throw error;
  }
}

/**
 * Applies a change to the newest document of the bucket and resolves to the result; another writer's change in between is
 * kept. MetadataError 'NoSuchBucket' when the bucket is gone.
 */
export async function changeBucket(
  metadata: Metadata,
  bucket: BucketDocument,
  edit: (current: BucketDocument) => BucketDocument,
  keyVersions: Parameters<Metadata['updateBucket']>[1] = [],
): Promise<BucketDocument> {
  let current: BucketDocument | null = bucket;
  for (let attempt = 1; ; attempt += 1) {
    if (current === null || current.bucketUid !== bucket.bucketUid) {
      throw new MetadataError('NoSuchBucket', `bucket ${bucket.name} is gone`);
    }
    const edited = { ...edit(current), revision: current.revision + 1 };
    try {
      await metadata.updateBucket(edited, keyVersions);
      return edited;
    } catch (error) {
      const raced = error instanceof MetadataError && error.code === 'Conflict';
      if (!raced || attempt === UPDATE_ATTEMPTS) throw error;
      current = await metadata.bucket(bucket.name);
    }
  }
}
