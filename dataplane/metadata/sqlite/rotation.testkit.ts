/** A bucket with versions of its key, and sealed rows that name them. */
import { newId } from '../../crypto/ids.ts';
import type {
  BucketDocument,
  KeyUses,
  KeyVersionDocument,
  NewVersion,
  Rewrapped,
  UploadRow,
} from '../metadata.ts';
import {
  bucketNamed,
  type Engine,
  filled,
  inlineBody,
  keyVersionOf,
  someDescriptor,
  uploadIn,
  versionIn,
} from './engine.testkit.ts';

/** An encrypted bucket whose key has one version. */
export async function encryptedBucket(engine: Engine, name: string): Promise<BucketDocument> {
  const bucket = bucketNamed(name, { encryption: 'AES256', keyVersion: 1, everPlain: false });
  await engine.metadata.createBucket(bucket, keyVersionOf(bucket.bucketUid, { state: 'Current' }));
  return bucket;
}

/** Makes the next version current and the one before it readable; resolves to the bucket as it is then. */
export async function rotated(engine: Engine, bucket: BucketDocument): Promise<BucketDocument> {
  const n = bucket.keyVersion ?? 0;
  const before = await engine.metadata.keyVersion(bucket.bucketUid, n);
  if (before === null) throw new Error(`no key version ${n}`);
  const next: KeyVersionDocument = keyVersionOf(bucket.bucketUid, { n: n + 1, state: 'Current' });
  const after = { ...bucket, revision: bucket.revision + 1, keyVersion: n + 1 };
  const replaced = { ...before, revision: before.revision + 1, state: 'Readable' as const };
  await engine.metadata.updateBucket(after, [replaced, next]);
  return after;
}

/** A version sealed under n; its sealed key differs from every other one's. */
export function sealedIn(
  bucket: BucketDocument,
  key: string,
  n: number,
  changes: Partial<NewVersion> = {},
): NewVersion {
  const sealedKey = Buffer.concat([Buffer.from(newId()), filled(16, n)]);
  const descriptor = { ...someDescriptor, n, sealedKey };
  return versionIn(bucket, key, { descriptor, clearRecord: null, ...changes });
}

export async function commitSealed(
  engine: Engine,
  bucket: BucketDocument,
  key: string,
  n: number,
): Promise<NewVersion> {
  const version = sealedIn(bucket, key, n);
  await engine.metadata.commitVersion(version, inlineBody, undefined);
  return version;
}

/** An open upload sealed under n. */
export function sealedUploadIn(bucket: BucketDocument, key: string, n: number): UploadRow {
  const sealedKey = Buffer.concat([Buffer.from(newId()), filled(16, n)]);
  const salts = { wrapSalt: filled(32, 1), uploadSalt: filled(32, 2), sealedMeta: filled(40, 3) };
  return uploadIn(bucket, key, { encrypted: true, clearMeta: null, sealed: { n, sealedKey, ...salts } });
}

/** The new seal of something: recognisable by `mark`. */
export function newSeal(
  n: number,
  mark: number,
): Pick<Rewrapped, 'n' | 'wrapSalt' | 'sealedKey'> & { readonly listEtag: Uint8Array } {
  return { n, wrapSalt: filled(32, mark), sealedKey: filled(48, mark), listEtag: filled(16, mark) };
}

/** The uses of each key version as they are counted. */
export async function usesOf(engine: Engine, bucket: BucketDocument): Promise<Record<number, KeyUses>> {
  return Object.fromEntries(await engine.metadata.keyUses(bucket.bucketUid));
}

/** The uses of each key version as the rows themselves have them. */
export function countedIn(engine: Engine, { bucketUid }: BucketDocument): Record<number, KeyUses> {
  const count = (table: string) =>
    engine.rows(
      `SELECT n, count(*) AS uses FROM ${table} WHERE bucket_uid = '${bucketUid}' AND n IS NOT NULL GROUP BY n`,
    );
  const found: Record<number, KeyUses> = {};
  for (const row of count('object_version'))
    found[Number(row['n'])] = { versions: Number(row['uses']), uploads: 0 };
  for (const row of count('upload')) {
    const n = Number(row['n']);
    found[n] = { versions: found[n]?.versions ?? 0, uploads: Number(row['uses']) };
  }
  return found;
}
