/** Switches the encryption of an existing bucket on and off, for what is written from then on. */
import type { BucketDocument, Metadata } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { BucketTakenError } from './createBucket.ts';
import { claimFirstKey } from './firstKey.ts';
import { type KeyMaking, makeBucketKey, releaseAttempt } from './makeBucketKey.ts';

const UPDATE_ATTEMPTS = 8;

/**
 * Later writes are encrypted. A bucket that already names a key keeps it: never is a second one made for it.
 * Rejects with BucketTakenError 'creation' while another request makes the key, KmsError, MetadataError ('Conflict' when
 * it has got its key since `bucket` was read).
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
  const claimed = await claimFirstKey(making, bucket.bucketUid, {
    kmsConnection,
    otherConnection: 'resume',
  });
  if (claimed === null) throw new BucketTakenError('creation');
  const release = () => releaseAttempt(making, claimed.row);
  const made = await makeBucketKey(making, claimed.row, claimed.attempt, release);
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
  await changeBucket(metadata, bucket, (current) => {
    // Its declaration says that it is encrypted.
    if (current.owner !== null) throw new MetadataError('Conflict', 'the bucket was declared meanwhile');
    return { ...current, encryption: null, everPlain: true };
  });
}

/**
 * Applies a change to the newest document of the bucket and resolves to the result; another writer's change in between is
 * kept. MetadataError 'NoSuchBucket' when the bucket is gone or being purged. What `edit` throws ends it.
 */
export async function changeBucket(
  metadata: Metadata,
  bucket: BucketDocument,
  edit: (current: BucketDocument) => BucketDocument,
  keyVersions: Parameters<Metadata['updateBucket']>[1] = [],
): Promise<BucketDocument> {
  let current: BucketDocument | null = bucket;
  for (let attempt = 1; ; attempt += 1) {
    if (current?.bucketUid !== bucket.bucketUid || current.state === 'Deleting') {
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
