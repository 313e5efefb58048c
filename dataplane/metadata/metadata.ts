/**
 * The metadata interface: S3-shaped operations, each one serialisable transaction with its preconditions inside.
 *
 * Owns what every engine must offer and the rows that it returns. It must not know SQL, HTTP or ciphers: sealed
 * fields pass through it as bytes. Control rows (buckets, key versions, uploads, access keys) come back only after their MAC
 * was verified; a row that fails is a MetadataError 'Integrity'.
 */

import type { AccessKeys } from './accessKeys.ts';
import type { BucketDocument, Id, KeyVersionDocument } from './documents.ts';
import type { FleetAdministration, RemovableBucket } from './fleetAdministration.ts';
import type { KeyRotation } from './keyRotation.ts';
import type { Reencryption } from './reencryption.ts';

export type { AccessKeyDocument, AccessKeyEntry, AccessKeyQuery, AccessKeys } from './accessKeys.ts';
export type { BucketDocument, Id, KeyVersionDocument } from './documents.ts';
export { MetadataError, type MetadataErrorCode } from './errors.ts';
export type { ConnectionUse, RemovableBucket } from './fleetAdministration.ts';
export type {
  BucketEntry,
  JobKind,
  KeyPosition,
  KeyUses,
  KeyVersionEntry,
  KeyVersionPosition,
  Rewrapped,
  SealedPage,
  SealedUpload,
  SealedVersion,
  UploadPosition,
} from './keyRotation.ts';
export type { OlderVersion, ReplacementBody } from './reencryption.ts';

/** Where a blob lies: `<incarnation>/<blobId>`. */
export interface BlobLocation {
  readonly incarnation: Id;
  readonly blobId: Id;
}

/** The sealed fields of an encrypted version (format.md, "Object record"). */
export interface Descriptor {
  readonly suite: number;
  readonly chunkLog2: number;
  readonly n: number;
  readonly wrapSalt: Uint8Array;
  readonly sealedKey: Uint8Array;
  readonly recordSalt: Uint8Array;
  readonly sealedRecord: Uint8Array;
}

/** Where the bytes of a body are. `salt` is null for plain blobs. */
export type BodyPlace =
  | { readonly kind: 'inline'; readonly stored: Uint8Array; readonly salt: Uint8Array | null }
  | {
      readonly kind: 'blob';
      readonly location: BlobLocation;
      readonly storedBytes: number;
      readonly salt: Uint8Array | null;
    }
  | { readonly kind: 'parts' };

/** One version of an object, complete but for pages of parts. */
export interface ObjectVersion {
  readonly bucketUid: Id;
  readonly key: Uint8Array;
  readonly seq: number;
  readonly versionId: Id;
  readonly isNull: boolean;
  readonly lastModifiedMs: number;
  readonly bodyId: Id;
  /** Plaintext bytes. */
  readonly size: number;
  /** 0 = one blob (or inline), >= 1 = pages of parts. */
  readonly partCount: number;
  /** null: a plain object. */
  readonly descriptor: Descriptor | null;
  /** enc(private) in clear, of plain objects only. */
  readonly clearRecord: Uint8Array | null;
  readonly body: BodyPlace;
}

/** A version with its body pinned: the collector leaves the body alone until release() was called. */
export interface PinnedVersion {
  readonly version: ObjectVersion;
  release(): void;
}

/** One part in a page (format.md, "Parts"). Plain: salt, digestSalt null, `digests` = enc(MD5, checksum). */
export interface PartEntry {
  readonly partNumber: number;
  readonly offset: number;
  readonly size: number;
  readonly location: BlobLocation;
  readonly salt: Uint8Array | null;
  readonly digestSalt: Uint8Array | null;
  /** sealedDigests of an encrypted part, clear enc(MD5, checksum) of a plain one. */
  readonly digests: Uint8Array;
}

/** Up to 256 parts, authenticated as one. `pageMac` is null for plain bodies. */
export interface PartPage {
  readonly page: number;
  readonly parts: readonly PartEntry[];
  readonly pageMac: Uint8Array | null;
}

/** What a listing needs. Encrypted: etag is masked, unmask with bucket key n and wrapSalt. */
export interface ListedObject {
  readonly key: Uint8Array;
  readonly versionId: Id;
  readonly size: number;
  readonly lastModifiedMs: number;
  readonly etag: Uint8Array;
  /** 0 for a single-part ETag, else N of the -N form. */
  readonly etagParts: number;
  readonly n: number | null;
  readonly wrapSalt: Uint8Array | null;
}

export interface ListObjectsQuery {
  readonly bucketUid: Id;
  readonly prefix: Uint8Array;
  /** null = no grouping. */
  readonly delimiter: Uint8Array | null;
  /** Only keys (and common prefixes) bytewise greater than this; empty = from the start. */
  readonly after: Uint8Array;
  readonly limit: number;
}

export interface ObjectPage {
  readonly objects: readonly ListedObject[];
  readonly commonPrefixes: readonly Uint8Array[];
  /** The last key or common prefix of this page when more follows, else null. */
  readonly next: Uint8Array | null;
}

export type ChecksumAlgorithm = 'CRC32' | 'CRC32C' | 'CRC64NVME' | 'SHA1' | 'SHA256';
export type ChecksumType = 'FULL_OBJECT' | 'COMPOSITE';

/** A multipart upload: a control row, plus what rewrap may change. */
export interface UploadRow {
  readonly uploadId: Id;
  readonly bucketUid: Id;
  readonly key: Uint8Array;
  readonly bodyId: Id;
  readonly encrypted: boolean;
  readonly suite: number;
  readonly chunkLog2: number;
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly checksumType: ChecksumType | null;
  readonly ownerId: string;
  readonly createdMs: number;
  /** Sealed data key (bound to the upload id) and sealed maps; null for plain uploads. */
  readonly sealed: {
    readonly n: number;
    readonly wrapSalt: Uint8Array;
    readonly sealedKey: Uint8Array;
    readonly uploadSalt: Uint8Array;
    readonly sealedMeta: Uint8Array;
  } | null;
  /** enc(content headers, user metadata) of plain uploads. */
  readonly clearMeta: Uint8Array | null;
  /** Counts part commits. 0 at creation. */
  readonly revision: number;
}

export interface UploadPart {
  readonly partNumber: number;
  readonly size: number;
  readonly location: BlobLocation;
  readonly storedBytes: number;
  readonly salt: Uint8Array | null;
  readonly digestSalt: Uint8Array | null;
  readonly digests: Uint8Array;
  /** null for plain uploads. */
  readonly partMac: Uint8Array | null;
  readonly lastModifiedMs: number;
}

/** Big-endian CRC-32 of each 128 KiB of a plain blob, in order; empty for sealed blobs. */
export type BlobCrcs = Uint8Array;

export interface NewVersion {
  readonly bucketName: string;
  readonly bucketUid: Id;
  readonly versioning: BucketDocument['versioning'];
  readonly key: Uint8Array;
  readonly versionId: Id;
  readonly isNull: boolean;
  readonly lastModifiedMs: number;
  readonly bodyId: Id;
  readonly size: number;
  readonly partCount: number;
  readonly descriptor: Descriptor | null;
  readonly clearRecord: Uint8Array | null;
  /** 16 bytes, masked for encrypted versions. */
  readonly listEtag: Uint8Array;
  readonly etagParts: number;
}

/** The bytes of a new version. `shared`: a copy by reference, taken only if that source version still has that body. */
export type NewBody =
  | { readonly kind: 'inline'; readonly stored: Uint8Array; readonly salt: Uint8Array | null }
  | {
      readonly kind: 'blob';
      readonly location: BlobLocation;
      readonly storedBytes: number;
      readonly salt: Uint8Array | null;
      readonly crcs: BlobCrcs;
    }
  | { readonly kind: 'shared'; readonly sourceKey: Uint8Array; readonly sourceVersionId: Id };

/** undefined = no condition; the word 'absent' = there must be no current object; an Id = it must be current. */
export type ExpectCurrent = Id | undefined;

export interface UploadListQuery {
  readonly bucketUid: Id;
  readonly prefix: Uint8Array;
  readonly delimiter: Uint8Array | null;
  readonly afterKey: Uint8Array;
  /** With afterKey: only uploads of that key with a greater id, and greater keys; null = only greater keys. */
  readonly afterUploadId: Id | null;
  readonly limit: number;
}

export interface UploadPage {
  readonly uploads: readonly Pick<
    UploadRow,
    'uploadId' | 'key' | 'createdMs' | 'ownerId' | 'checksumAlgorithm' | 'checksumType'
  >[];
  readonly commonPrefixes: readonly Uint8Array[];
  readonly next: { readonly key: Uint8Array; readonly uploadId: Id | null } | null;
}

/** A body without references, or the blob of a part that nothing names any more. */
export interface GarbageRef {
  readonly kind: 'body' | 'blob';
  readonly id: Id;
  /** When it became garbage. */
  readonly sinceMs: number;
}

/** Claimed garbage with the blobs that have to be deleted. */
export interface GarbageItem extends GarbageRef {
  readonly blobs: readonly BlobLocation[];
}

export interface GarbageQuery {
  /** Only what was garbage at this time already: now minus the grace. */
  readonly untilMs: number;
  /** The last one of the page before; null = from the start. */
  readonly after: GarbageRef | null;
  readonly limit: number;
}

export interface Usage {
  readonly objects: number;
  readonly bytes: number;
}

/** Everything that the data plane asks of its metadata engine. All rejections are MetadataError. */
export interface Metadata extends AccessKeys, KeyRotation, Reencryption, FleetAdministration {
  // Buckets and key versions
  bucket(name: string): Promise<BucketDocument | null>;
  /** The bucket that has this identifier, whatever its name; null when it is deleted. */
  bucketByUid(bucketUid: Id): Promise<BucketDocument | null>;
  listBuckets(query: {
    readonly ownerId: string;
    readonly prefix: string;
    readonly after: string;
    readonly limit: number;
  }): Promise<readonly BucketDocument[]>;
  /** Creates the bucket (and reserves its key version); an existing one of that name is returned instead, untouched. */
  createBucket(bucket: BucketDocument, keyVersion: KeyVersionDocument | null): Promise<BucketDocument | null>;
  /**
   * Replaces the document whose revision is one lower; otherwise MetadataError 'Conflict'. With `keyVersions`, all or none.
   * With `ifEmpty` only a bucket without objects and open uploads: 'NotEmpty'. When it changes the owner, the access keys of
   * the former one lose their grants on this bucket's name in the same transaction, and a key without any other goes.
   */
  updateBucket(
    bucket: BucketDocument,
    keyVersions?: readonly KeyVersionDocument[],
    ifEmpty?: boolean,
  ): Promise<void>;
  /**
   * Removes an empty bucket with its open uploads. Its key versions stay, and become Retiring; one in state Creating stays
   * with whoever makes it. 'NotEmpty' and 'NoSuchBucket' (also for another state than `expected`) as errors, and
   * 'Conflict' for another owner. Without `expected` it must be Ready, and declared by nobody. The access keys of its owner
   * lose their grants on its name, as in updateBucket.
   */
  deleteBucket(name: string, bucketUid: Id, expected?: RemovableBucket): Promise<void>;
  /** Forgets a bucket in state Creating whose key was certainly never made. */
  dropReservation(name: string, bucketUid: Id): Promise<void>;
  keyVersion(bucketUid: Id, n: number): Promise<KeyVersionDocument | null>;
  /** Inserts (revision 0) or replaces the row whose revision is one lower; otherwise MetadataError 'Conflict'. */
  putKeyVersion(keyVersion: KeyVersionDocument): Promise<void>;
  usage(bucketUid: Id): Promise<Usage>;

  // Objects
  /** The current version, its body pinned in the same instant; null when there is none. */
  currentVersion(bucketUid: Id, key: Uint8Array): Promise<PinnedVersion | null>;
  listObjects(query: ListObjectsQuery): Promise<ObjectPage>;
  /** Makes the version current, in one transaction with its body. Re-checks the bucket: 'NoSuchBucket', 'PreconditionFailed', 'SourceChanged', 'KeyRetired'. */
  commitVersion(version: NewVersion, body: NewBody, expectCurrent: ExpectCurrent): Promise<void>;
  /** Removes the current object; false when there was none. 'PreconditionFailed' when expectCurrent does not hold. */
  deleteObject(
    bucketName: string,
    bucketUid: Id,
    key: Uint8Array,
    expectCurrent: ExpectCurrent,
  ): Promise<boolean>;
  /** Pages of parts by page number, in order. */
  partPages(bodyId: Id, firstPage: number, lastPage: number): Promise<readonly PartPage[]>;
  /** The page that holds this plaintext offset, or this part number; null when none does. Unauthenticated: verify the page. */
  findPage(
    bodyId: Id,
    at: { readonly offset: number } | { readonly partNumber: number },
  ): Promise<number | null>;
  /** CRCs of the 128 KiB blocks first..last of a plain blob. */
  blobCrcs(blobId: Id, firstBlock: number, lastBlock: number): Promise<BlobCrcs>;

  // Multipart
  /** 'NoSuchBucket', 'KeyRetired'. */
  createUpload(bucketName: string, upload: UploadRow): Promise<void>;
  upload(bucketUid: Id, key: Uint8Array, uploadId: Id): Promise<UploadRow | null>;
  listUploads(query: UploadListQuery): Promise<UploadPage>;
  /** Adds or replaces a part (the replaced blob becomes garbage). 'NoSuchUpload' when it ended meanwhile. */
  commitPart(
    upload: { readonly bucketUid: Id; readonly uploadId: Id },
    part: UploadPart,
    crcs: BlobCrcs,
  ): Promise<void>;
  uploadParts(uploadId: Id, afterPartNumber: number, limit: number): Promise<readonly UploadPart[]>;
  /** Ends the upload: version + pages in, unused parts to garbage. 'UploadChanged' when revision differs, 'NoSuchUpload', 'KeyRetired'. */
  completeUpload(
    upload: { readonly uploadId: Id; readonly revision: number },
    version: NewVersion,
    pages: readonly PartPage[],
    expectCurrent: ExpectCurrent,
  ): Promise<void>;
  /** The version that a completed upload made, for a repeated Complete; null when unknown. */
  completedUpload(bucketUid: Id, key: Uint8Array, uploadId: Id): Promise<Id | null>;
  abortUpload(bucketUid: Id, key: Uint8Array, uploadId: Id): Promise<boolean>;

  // Collector
  /** Garbage by age, claimed or not. Whoever opens a body after this answer no longer finds any of them. */
  garbage(query: GarbageQuery): Promise<readonly GarbageRef[]>;
  /**
   * Claims these; a claimed body takes no new references. Claiming twice is not an error: a claim whose collector
   * died is taken up by claiming again. The caller has made sure that nobody reads them (openBodies of every
   * client, asked after garbage() answered).
   */
  claimGarbage(items: readonly GarbageRef[]): Promise<readonly GarbageItem[]>;
  /** Forgets claimed items after their blobs were deleted. */
  finishGarbage(items: readonly GarbageItem[]): Promise<void>;
  /** Which of these blobs have a committed row. */
  knownBlobs(locations: readonly BlobLocation[]): Promise<ReadonlySet<Id>>;
  /** Lives of processes that wrote blobs under this metadata. Files of any other are not this metadata's to judge. */
  incarnations(): Promise<readonly Id[]>;
  /** Forgets which versions were made by uploads completed before this time. */
  forgetCompletedUploads(beforeMs: number): Promise<void>;
  /** The bodies that this client has pinned at this instant. */
  openBodies(): readonly Id[];

  close(): Promise<void>;
}
