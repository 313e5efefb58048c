/** The read operations over one read-only connection: what workers and read-only commands have in common. */
import type { KeyObject } from 'node:crypto';
import type { BucketDocument, Id, Metadata, ObjectVersion } from '../metadata.ts';
import { type BlobUse, BlobUses } from './blobUses.ts';
import { BodyReads } from './bodyReads.ts';
import { BucketReads } from './bucketReads.ts';
import { asMetadataError, openReaderConnection } from './connection.ts';
import { ControlRows } from './controlRows.ts';
import { GarbageReads } from './garbageReads.ts';
import { ObjectReads, type VersionEntry } from './objectReads.ts';
import { Pins } from './pins.ts';
import { UploadReads } from './uploadReads.ts';

/** The reading half of Metadata. */
export type MetadataReads = Pick<
  Metadata,
  | 'bucket'
  | 'listBuckets'
  | 'keyVersion'
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
  | 'openBodies'
>;

export interface VersionsQuery {
  readonly bucketUid: Id;
  /** The last version of the page before; null = from the start. */
  readonly after: Pick<ObjectVersion, 'key' | 'seq'> | null;
  readonly limit: number;
}

/** What only read-only commands ask. */
export interface Inventory {
  /** Buckets of every owner by name. */
  readonly buckets: (after: string, limit: number) => Promise<readonly BucketDocument[]>;
  /** All versions of a bucket by key and seq, not pinned. */
  readonly versions: (query: VersionsQuery) => Promise<readonly VersionEntry[]>;
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
  const pins = new Pins();

  const reads: MetadataReads = {
    bucket: (name) => answer(() => buckets.byName(name)),
    listBuckets: (query) => answer(() => buckets.ofOwner(query)),
    keyVersion: (bucketUid, n) => answer(() => buckets.keyVersion(bucketUid, n)),
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
    openBodies: () => pins.pinned(),
  };
  const uses = new BlobUses(db);
  const inventory: Inventory = {
    buckets: (after, limit) => answer(() => buckets.all(after, limit)),
    versions: ({ bucketUid, after, limit }) =>
      answer(() => objects.versions(bucketUid, after?.key ?? new Uint8Array(0), after?.seq ?? -1, limit)),
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
