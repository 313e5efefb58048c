/**
 * What the admin API asks about buckets and their keys, and tells of them. Field names are part of the admin API.
 * Implemented by the jobs (dataplane/jobs/administration.ts); every call rejects with AdminError.
 */

export interface BucketSummary {
  readonly name: string;
  readonly bucketId: string;
  /** Damaged: the row failed its authentication, and nothing else is told. */
  readonly state: 'Creating' | 'Ready' | 'Damaged';
  readonly encryption: 'AES256' | null;
  /** The key version that new writes use. */
  readonly keyVersion: number | null;
  /** How old the current key version may become before it is rotated, such as `90d`; null: only when asked. */
  readonly rotateEvery: string | null;
  readonly createdAt: string | null;
}

export interface BucketPage {
  readonly buckets: readonly BucketSummary[];
  /** Pass as `after` for the next page; null: this is the last. */
  readonly next: string | null;
}

export interface KeyVersionReport {
  readonly bucketId: string;
  /** null: the bucket is deleted. */
  readonly bucket: string | null;
  readonly n: number;
  readonly state: string;
  readonly kmsConnection: string;
  readonly kmsName: string;
  readonly kmsId: string | null;
  readonly reservedAt: string;
  /** When it became the current version by a rotation. */
  readonly rotatedAt: string | null;
  readonly requestId: string | null;
  /** Sealed data keys that name it: of object versions, and of open uploads. */
  readonly uses: { readonly versions: number; readonly uploads: number };
}

export interface RewrapReport {
  /** Idle: nothing refers to an older version. Waiting: see message. */
  readonly state: 'Idle' | 'Running' | 'Waiting';
  /** Seals replaced by the rewrap under way. */
  readonly done: number;
  /** Seals under older versions. */
  readonly remaining: number;
  /** Seals that did not open in the pass under way. */
  readonly damaged: number;
  /** Why it waits. */
  readonly message: string | null;
}

export interface BucketReport extends BucketSummary {
  readonly usage: { readonly objects: number; readonly bytes: number };
  readonly keyVersions: readonly KeyVersionReport[];
  readonly rewrap: RewrapReport;
}

export interface ReencryptReport {
  readonly bucket: string;
  /** Waiting: see message. */
  readonly state: 'Running' | 'Waiting' | 'Finished';
  /** Data keys that were made before this key version are replaced. */
  readonly olderThan: number;
  readonly requestedAt: string;
  readonly finishedAt: string | null;
  /** Object versions written anew, and their plaintext bytes. */
  readonly done: { readonly versions: number; readonly bytes: number };
  /** Object versions and open uploads whose data key is older. */
  readonly remaining: { readonly versions: number; readonly uploads: number };
  /** Versions that do not verify: they cannot be read, nor written anew. */
  readonly damaged: number;
  /** Why it waits. */
  readonly message: string | null;
}

export interface KeyPage {
  readonly keys: readonly KeyVersionReport[];
  /** Pass as `after` for the next page; null: this is the last. */
  readonly next: string | null;
}

export interface KeyAdministration {
  buckets(query: { readonly after: string; readonly limit: number }): Promise<BucketPage>;
  bucket(name: string): Promise<BucketReport>;
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
}
