/**
 * Finds the bucket key of a key version: the row names the KMS connection and identifier, the provider brings it.
 */
import type { KeyObject } from 'node:crypto';
import type { KeyProvider } from '../keys/keys.ts';
import type { BucketDocument, Id, Metadata } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';

export interface BucketKeySources {
  readonly metadata: Pick<Metadata, 'keyVersion'>;
  readonly keys: Pick<KeyProvider, 'bucketKey'>;
}

/** Version n of a bucket's key. MetadataError 'Integrity' when no usable row names it, else KmsError. */
export async function bucketKey(
  sources: BucketKeySources,
  bucketUid: Id,
  n: number,
  use: 'read' | 'write',
): Promise<KeyObject> {
  const row = await sources.metadata.keyVersion(bucketUid, n);
  if (row === null || row.kmsId === null || row.keyCheckValue === null) {
    throw new MetadataError('Integrity', `bucket ${bucketUid} has no usable key version ${n}`);
  }
  const { kmsConnection: connection, kmsId, keyCheckValue } = row;
  return await sources.keys.bucketKey({ connection, kmsId, keyCheckValue }, use);
}

/** The key that new writes of an encrypted bucket are sealed under. */
export async function writingKey(
  sources: BucketKeySources,
  bucket: BucketDocument,
): Promise<{ readonly bucketKey: KeyObject; readonly n: number }> {
  const n = bucket.keyVersion;
  if (n === null)
    throw new MetadataError('Integrity', `encrypted bucket ${bucket.bucketUid} names no key version`);
  return { bucketKey: await bucketKey(sources, bucket.bucketUid, n, 'write'), n };
}
