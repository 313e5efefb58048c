/**
 * What the admin API asks about buckets and their keys, and tells of them. The forms are those of admin/schema.
 * Implemented by the jobs (dataplane/jobs/administration.ts); every call rejects with AdminError.
 */
import type { z } from 'zod';
import type { BucketReport, bucketSummary, ConnectionUse, KeyVersionReport } from './schema/buckets.ts';
import type { bucketPage, keyPage, reencryptReport } from './schema/listings.ts';

export type { BucketReport, ConnectionUse, KeyVersionReport } from './schema/buckets.ts';

export type BucketSummary = z.output<typeof bucketSummary>;
export type RewrapReport = BucketReport['rewrap'];
export type BucketPage = z.output<typeof bucketPage>;
export type KeyPage = z.output<typeof keyPage>;
export type ReencryptReport = z.output<typeof reencryptReport>;

/** A bucket as its resource wishes it. */
export interface DeclaredBucket {
  /** namespace/name of the resource. */
  readonly owner: string;
  readonly kmsConnection: string;
  readonly rotateEveryMs: number | null;
  /** The request to rotate that a first key answers if it is made now. */
  readonly answers: string | null;
  readonly adopt: boolean;
}

export interface KeyAdministration {
  buckets(query: { readonly after: string; readonly limit: number }): Promise<BucketPage>;
  bucket(name: string): Promise<BucketReport>;
  /** Makes the bucket, or changes what differs. */
  declare(name: string, wish: DeclaredBucket): Promise<BucketReport>;
  /** Null: the bucket is gone. Otherwise it is being purged; asking again tells how far it is. */
  remove(
    name: string,
    wish: { readonly owner: string | null; readonly mode: 'ifEmpty' | 'purge' },
  ): Promise<BucketReport | null>;
  /** Resolves once the new version is in use; the rewrap goes on by itself. The same requestId rotates once. */
  rotate(
    name: string,
    request: { readonly requestId: string; readonly toConnection: string | null },
  ): Promise<KeyVersionReport>;
  /** Asks that every data key be replaced that is older than the current key version; it goes on by itself. */
  reencrypt(name: string): Promise<ReencryptReport>;
  /** How far that is. Counts what remains, which takes a while for a large bucket. */
  reencryption(name: string): Promise<ReencryptReport>;
  setRotation(name: string, everyMs: number | null): Promise<BucketSummary>;
  /** Key versions of all buckets, also of deleted ones; `unused`: only those that are revoked or due to be. */
  keys(query: {
    readonly after: string | null;
    readonly limit: number;
    readonly unused: boolean;
  }): Promise<KeyPage>;
  /** KMIP Destroy, for a version that is Revoked and that nothing refers to. */
  destroyKey(bucketId: string, n: number): Promise<KeyVersionReport>;
  /** What hangs on a KMS connection, whether or not it is configured. */
  connectionUse(connection: string): Promise<ConnectionUse>;
  /** The newest epoch of a leader; 0: none was taken. */
  epoch(): Promise<number>;
  /** Takes the next epoch, durably. */
  takeEpoch(holder: string): Promise<number>;
}
