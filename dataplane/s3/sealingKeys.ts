/**
 * Which key a write is sealed under, and what happens when that key version retires before the write is committed.
 *
 * docs/format.md, "Version states": a writer may be slower than a whole rotation. Its bytes are under its own data key,
 * so they stay as they are; only the data key is sealed again, under the bucket's newest version.
 */
import { writingKey } from '../buckets/bucketKeys.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { KmsError } from '../keys/keys.ts';
import { type BucketDocument, MetadataError } from '../metadata/metadata.ts';
import type { SealingKeys } from '../objects/version.ts';
import type { S3Services } from './services.ts';

/** Rotations that may overtake one request; the client is told to try again after so many. */
const RETIRED_ATTEMPTS = 8;

/** A new data key and the bucket key that will wrap it; null for plain results. Rejects with KmsError. */
export async function newSealingKeys(
  services: S3Services,
  bucket: BucketDocument,
  encrypted: boolean,
): Promise<SealingKeys | null> {
  if (!encrypted) return null;
  const wrapping = await currentWritingKey(services, bucket);
  return { dataKey: newDataKey(services.random), ...wrapping };
}

/**
 * Seals and commits: `commit` seals under the keys that it is given. When their version was retired meanwhile it is
 * called again with the same data key and the bucket's newest version. Rejects with what `commit` rejects with.
 */
export async function commitSealed<T, Keys extends SealingKeys | null>(
  services: S3Services,
  bucket: BucketDocument,
  keys: Keys,
  commit: (keys: Keys | SealingKeys) => Promise<T>,
): Promise<T> {
  let current: Keys | SealingKeys = keys;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await commit(current);
    } catch (error) {
      const retired = error instanceof MetadataError && error.code === 'KeyRetired';
      if (!retired || current === null || attempt === RETIRED_ATTEMPTS) throw error;
      const newest = await newestOf(services, bucket);
      current = { dataKey: current.dataKey, ...(await currentWritingKey(services, newest)) };
    }
  }
}

/** The key of the version that new seals use. The bucket as the request read it may be older than a rotation. */
export async function currentWritingKey(
  services: S3Services,
  bucket: BucketDocument,
): Promise<Omit<SealingKeys, 'dataKey'>> {
  let known = bucket;
  for (;;) {
    try {
      return await writingKey(services, known);
    } catch (error) {
      if (!isOutOfUse(error)) throw error;
      const newest = await newestOf(services, known);
      if (newest.keyVersion === known.keyVersion) throw error;
      known = newest;
    }
  }
}

/** What the KMS says of a key that was revoked, or destroyed. */
export function isOutOfUse(error: unknown): boolean {
  return error instanceof KmsError && (error.code === 'InvalidState' || error.code === 'NotFound');
}

async function newestOf(services: S3Services, { name, bucketUid }: BucketDocument): Promise<BucketDocument> {
  const newest = await services.metadata.bucket(name);
  if (newest?.bucketUid !== bucketUid) throw new MetadataError('NoSuchBucket', `bucket ${name} is gone`);
  return newest;
}
