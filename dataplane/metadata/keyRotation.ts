/**
 * The operations that key rotation stands on: who uses which version of a bucket's key, re-sealing in batches, retiring.
 *
 * docs/format.md, "Rotation". How many sealed keys name a version is counted in the transactions that write them, and
 * a version is retired in one that finds the count at zero; from then on no commit can name it.
 */
import type { BucketDocument, Id, KeyVersionDocument } from './documents.ts';
import type { MetadataError } from './errors.ts';

/** A bucket of an inventory: what is wrong with its row does not hide the others. */
export interface BucketEntry {
  readonly name: string;
  readonly bucketUid: Id;
  readonly bucket: BucketDocument | MetadataError;
}

/** A key version of an inventory: what is wrong with its row does not hide the others. */
export interface KeyVersionEntry {
  readonly bucketUid: Id;
  readonly n: number;
  readonly keyVersion: KeyVersionDocument | MetadataError;
}

export type KeyVersionPosition = Pick<KeyVersionEntry, 'bucketUid' | 'n'>;

/** How many sealed data keys name one key version: of object versions, and of open uploads. */
export interface KeyUses {
  readonly versions: number;
  readonly uploads: number;
}

/** A place among the versions of a bucket, which are in the order of key and seq. */
export interface KeyPosition {
  readonly key: Uint8Array;
  readonly seq: number;
}

/** An object version's sealed data key, with what it is bound to. */
export interface SealedVersion extends KeyPosition {
  readonly versionId: Id;
  readonly n: number;
  readonly wrapSalt: Uint8Array;
  readonly sealedKey: Uint8Array;
  /** Masked under the same n and wrapSalt; null when listings do not show this version. */
  readonly listEtag: Uint8Array | null;
}

/** A place among the open uploads of a bucket, which are in the order of key and id. */
export interface UploadPosition {
  readonly key: Uint8Array;
  readonly uploadId: Id;
}

/** An open upload's sealed data key, with what it is bound to. */
export interface SealedUpload extends UploadPosition {
  readonly n: number;
  readonly wrapSalt: Uint8Array;
  readonly sealedKey: Uint8Array;
}

/** What was found, and the last place that was looked at: null at the end. A page may be empty and not the last. */
export interface SealedPage<Item, Position> {
  readonly items: readonly Item[];
  readonly next: Position | null;
}

/** A data key under its new seal; it replaces the seal that was read, and no other. */
export type Rewrapped = {
  readonly expectSealedKey: Uint8Array;
  /** Of the key version that the new seal is under. */
  readonly n: number;
  readonly wrapSalt: Uint8Array;
  readonly sealedKey: Uint8Array;
} & (
  | {
      readonly kind: 'version';
      readonly key: Uint8Array;
      readonly seq: number;
      /** Masked anew; null where SealedVersion had null. */
      readonly listEtag: Uint8Array | null;
    }
  | { readonly kind: 'upload'; readonly uploadId: Id }
);

/** Jobs that keep their progress here. */
export type JobKind = 'rewrap' | 'reencrypt';

/** What a metadata engine offers to the rotation jobs. All rejections are MetadataError. */
export interface KeyRotation {
  /** All buckets by name, in any state, behind this name. */
  listEveryBucket(query: { readonly after: string; readonly limit: number }): Promise<readonly BucketEntry[]>;
  /** The key versions of one bucket by n; also of a deleted one. 'Integrity' when one of them was edited. */
  keyVersions(bucketUid: Id): Promise<readonly KeyVersionDocument[]>;
  /** The key versions of all buckets, also of deleted ones, behind this one; null = from the start. */
  listKeyVersions(query: {
    readonly after: KeyVersionPosition | null;
    readonly limit: number;
  }): Promise<readonly KeyVersionEntry[]>;
  /** Uses by key version n. One that is not in the map has none. */
  keyUses(bucketUid: Id): Promise<ReadonlyMap<number, KeyUses>>;
  /** Looks at the next `limit` versions of a bucket and returns those whose data key is sealed under an older n. */
  sealedVersions(query: {
    readonly bucketUid: Id;
    readonly below: number;
    readonly after: KeyPosition | null;
    readonly limit: number;
  }): Promise<SealedPage<SealedVersion, KeyPosition>>;
  /** The same for open uploads. */
  sealedUploads(query: {
    readonly bucketUid: Id;
    readonly below: number;
    readonly after: UploadPosition | null;
    readonly limit: number;
  }): Promise<SealedPage<SealedUpload, UploadPosition>>;
  /**
   * Puts new seals in place, in one transaction; one whose old seal is not there any more is skipped. Resolves to the
   * number of seals that were replaced. 'Conflict' when a key version is not Current, and then none is.
   */
  rewrap(bucketUid: Id, items: readonly Rewrapped[]): Promise<number>;
  /**
   * Readable becomes Retiring, in the transaction that finds no use of it. True when it is Retiring or later; false when
   * something still uses it. 'Conflict' for the current version and for one that is being made.
   */
  retireKeyVersion(bucketUid: Id, n: number): Promise<boolean>;
  /** What a job wrote down about its progress with a bucket, in its own words; null when there is nothing. */
  jobState(kind: JobKind, bucketUid: Id): Promise<string | null>;
  /** Replaces what a job wrote down; null forgets it. */
  putJobState(kind: JobKind, bucketUid: Id, state: string | null): Promise<void>;
}
