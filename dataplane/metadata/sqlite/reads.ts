/** The read operations over one read-only connection: what workers and read-only commands have in common. */
import type { KeyObject } from 'node:crypto';
import type { BucketEntry, Id, KeyVersionEntry, Metadata, ObjectVersion } from '../metadata.ts';
import { AccessKeyReads } from './accessKeyReads.ts';
import {
  AuditReads,
  type ListedEntry,
  type MiscountedBody,
  type StoredBlob,
  type UploadEntry,
  type UsageEntry,
} from './auditReads.ts';
import { type BlobUse, BlobUses } from './blobUses.ts';
import { BodyReads } from './bodyReads.ts';
import { BucketReads } from './bucketReads.ts';
import { asMetadataError, openReaderConnection } from './connection.ts';
import { ControlRows } from './controlRows.ts';
import { EpochReads } from './epochRows.ts';
import { GarbageReads } from './garbageReads.ts';
import { ObjectReads, snapshot, type VersionEntry } from './objectReads.ts';
import { OlderReads } from './olderReads.ts';
import { Pins } from './pins.ts';
import { type KeyUsesEntry, RotationReads } from './rotationReads.ts';
import { UploadReads } from './uploadReads.ts';

/** The reading half of Metadata. */
export type MetadataReads = Pick<
  Metadata,
  | 'accessKey'
  | 'listAccessKeys'
  | 'bucket'
  | 'bucketByUid'
  | 'listBuckets'
  | 'keyVersion'
  | 'keyVersions'
  | 'listEveryBucket'
  | 'listKeyVersions'
  | 'keyUses'
  | 'sealedVersions'
  | 'sealedUploads'
  | 'jobState'
  | 'olderVersions'
  | 'olderDataKeys'
  | 'usage'
  | 'currentVersion'
  | 'listObjects'
  | 'partPages'
  | 'findPage'
  | 'blobCrcs'
  | 'upload'
  | 'listUploads'
  | 'uploadParts'
  | 'completedUpload'
  | 'garbage'
  | 'knownBlobs'
  | 'incarnations'
  | 'connectionUse'
  | 'epoch'
  | 'openBodies'
>;

export interface VersionsQuery {
  readonly bucketUid: Id;
  /** The last version of the page before; null = from the start. */
  readonly after: Pick<ObjectVersion, 'key' | 'seq'> | null;
  readonly limit: number;
}

/** A version beside what listings say of its key, read at one instant. */
export interface AuditedVersion extends VersionEntry {
  readonly listed: ListedEntry | null;
  /** The highest seq of the key. */
  readonly newestSeq: number | null;
}

/** What only read-only commands ask; see AuditReads. */
export interface Inventory {
  readonly bucketEntry: (name: string) => Promise<BucketEntry | null>;
  readonly bucketlessUids: () => Promise<readonly Id[]>;
  /** Unlike keyVersions, an edited row among them is told beside the others. */
  readonly keyVersionEntries: (bucketUid: Id) => Promise<readonly KeyVersionEntry[]>;
  /** All versions of a bucket by key and seq, not pinned. */
  readonly versions: (query: VersionsQuery) => Promise<readonly AuditedVersion[]>;
  readonly strayKeys: (bucketUid: Id, after: Uint8Array, limit: number) => Promise<readonly Uint8Array[]>;
  readonly usageEntry: (bucketUid: Id) => Promise<UsageEntry>;
  readonly keyUsesEntry: (bucketUid: Id) => Promise<KeyUsesEntry>;
  readonly uploads: (
    bucketUid: Id,
    after: Pick<UploadEntry, 'key' | 'uploadId'> | null,
    limit: number,
  ) => Promise<readonly UploadEntry[]>;
  readonly partsWithoutBlob: (
    uploadId: Id,
    afterPartNumber: number,
    limit: number,
  ) => Promise<readonly number[]>;
  readonly storedBlob: (blobId: Id) => Promise<StoredBlob | null>;
  readonly miscountedBodies: (limit: number) => Promise<readonly MiscountedBody[]>;
  readonly blobIdOfSalt: (salt: Uint8Array) => Promise<Id | null>;
  /** What names a blob; null when nothing does. Reads every row: for a person who waits. */
  readonly blobUse: (blobId: Id) => Promise<BlobUse | null>;
}

export interface Reads {
  readonly reads: MetadataReads;
  readonly inventory: Inventory;
  readonly close: () => void;
}

/** Opens the connection and prepares every statement once. Each operation reads in the tick in which it is called. */
export function openReads(path: string, controlKey: KeyObject): Reads {
  const db = openReaderConnection(path);
  const control = new ControlRows(controlKey);
  const buckets = new BucketReads(db, control);
  const objects = new ObjectReads(db, buckets);
  const bodies = new BodyReads(db);
  const uploads = new UploadReads(db, control);
  const garbage = new GarbageReads(db);
  const audit = new AuditReads(db, control);
  const rotation = new RotationReads(db);
  const older = new OlderReads(db);
  const accessKeys = new AccessKeyReads(db, control);
  const epochs = new EpochReads(db);
  const pins = new Pins();

  const reads: MetadataReads = {
    accessKey: (accessKeyId) => accessKeys.byId(accessKeyId),
    listAccessKeys: (query) => answer(() => accessKeys.page(query)),
    bucket: (name) => answer(() => buckets.byName(name)),
    bucketByUid: (bucketUid) => answer(() => buckets.byUid(bucketUid)),
    listBuckets: (query) => answer(() => buckets.ofOwner(query)),
    keyVersion: (bucketUid, n) => answer(() => buckets.keyVersion(bucketUid, n)),
    keyVersions: (bucketUid) => answer(() => buckets.keyVersions(bucketUid)),
    listEveryBucket: ({ after, limit }) => answer(() => audit.buckets(after, limit)),
    listKeyVersions: ({ after, limit }) => answer(() => audit.everyKeyVersion(after, limit)),
    keyUses: (bucketUid) => answer(() => rotation.keyUses(bucketUid)),
    sealedVersions: (query) => answer(() => rotation.versions(query)),
    sealedUploads: (query) => answer(() => rotation.uploads(query)),
    jobState: (kind, bucketUid) => answer(() => rotation.jobState(kind, bucketUid)),
    olderVersions: (query) => answer(() => older.versions(query)),
    olderDataKeys: (bucketUid, below) => answer(() => older.count(bucketUid, below)),
    usage: (bucketUid) => answer(() => buckets.usage(bucketUid)),
    currentVersion: (bucketUid, key) =>
      answer(() => {
        const version = objects.current(bucketUid, key);
        // Read and pin within one tick: the collector's question never falls between the two.
        return version === null ? null : { version, release: pins.pin(version.bodyId) };
      }),
    listObjects: (query) => answer(() => objects.list(query)),
    partPages: (bodyId, firstPage, lastPage) => answer(() => bodies.pages(bodyId, firstPage, lastPage)),
    findPage: (bodyId, at) => answer(() => bodies.findPage(bodyId, at)),
    blobCrcs: (blobId, firstBlock, lastBlock) => answer(() => bodies.crcs(blobId, firstBlock, lastBlock)),
    upload: (bucketUid, key, uploadId) => answer(() => uploads.upload(bucketUid, key, uploadId)),
    listUploads: (query) => answer(() => uploads.list(query)),
    uploadParts: (uploadId, afterPartNumber, limit) =>
      answer(() => uploads.parts(uploadId, afterPartNumber, limit)),
    completedUpload: (bucketUid, key, uploadId) => answer(() => uploads.completed(bucketUid, key, uploadId)),
    garbage: (query) => answer(() => garbage.due(query)),
    knownBlobs: (locations) => answer(() => bodies.known(locations)),
    incarnations: () => answer(() => bodies.incarnations()),
    connectionUse: (connection) => answer(() => buckets.connectionUse(connection)),
    epoch: () => answer(() => epochs.newest()),
    openBodies: () => pins.pinned(),
  };
  const uses = new BlobUses(db);
  const inventory: Inventory = {
    bucketEntry: (name) => answer(() => audit.bucket(name)),
    bucketlessUids: () => answer(() => audit.bucketlessUids()),
    keyVersionEntries: (bucketUid) => answer(() => audit.keyVersions(bucketUid)),
    versions: ({ bucketUid, after, limit }) =>
      answer(() =>
        snapshot(db, () =>
          objects
            .versions(bucketUid, after?.key ?? new Uint8Array(0), after?.seq ?? -1, limit)
            .map((entry) => ({ ...entry, ...audit.listed(bucketUid, entry.key) })),
        ),
      ),
    strayKeys: (bucketUid, after, limit) => answer(() => audit.strayKeys(bucketUid, after, limit)),
    usageEntry: (bucketUid) => answer(() => audit.usage(bucketUid)),
    keyUsesEntry: (bucketUid) => answer(() => rotation.keyUsesEntry(bucketUid)),
    uploads: (bucketUid, after, limit) => answer(() => audit.uploads(bucketUid, after, limit)),
    partsWithoutBlob: (uploadId, afterPartNumber, limit) =>
      answer(() => audit.partsWithoutBlob(uploadId, afterPartNumber, limit)),
    storedBlob: (blobId) => answer(() => audit.blob(blobId)),
    miscountedBodies: (limit) => answer(() => snapshot(db, () => audit.miscountedBodies(limit))),
    blobIdOfSalt: (salt) => answer(() => audit.blobIdOfSalt(salt)),
    blobUse: (blobId) => answer(() => uses.find(blobId)),
  };
  return { reads, inventory, close: () => db.close() };
}

function answer<T>(read: () => T): Promise<T> {
  try {
    return Promise.resolve(read());
  } catch (error) {
    return Promise.reject(asMetadataError(error));
  }
}
