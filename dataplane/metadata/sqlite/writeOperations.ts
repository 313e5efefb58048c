/**
 * The write operations of the writer thread, each run inside a savepoint of the group's transaction.
 *
 * Owns their names and the way from a message to an operation. What an operation throws rolls back that operation
 * alone.
 */
import type { DatabaseSync } from 'node:sqlite';
import type {
  AccessKeyDocument,
  BlobCrcs,
  BucketDocument,
  ExpectCurrent,
  GarbageItem,
  GarbageRef,
  Id,
  JobKind,
  KeyVersionDocument,
  NewBody,
  NewVersion,
  PartPage,
  RemovableBucket,
  ReplacementBody,
  Rewrapped,
  UploadPart,
  UploadRow,
} from '../metadata.ts';
import { AccessKeyWrites } from './accessKeyWrites.ts';
import { BodyWrites } from './bodyWrites.ts';
import { BucketWrites } from './bucketWrites.ts';
import type { ControlRows } from './controlRows.ts';
import { EpochWrites } from './epochRows.ts';
import { GarbageWrites } from './garbageWrites.ts';
import { KeyVersionWrites } from './keyVersionWrites.ts';
import { ObjectWrites } from './objectWrites.ts';
import { PurgeWrites } from './purgeWrites.ts';
import { type ReplacedBody, ReplaceWrites } from './replaceWrites.ts';
import { RewrapWrites } from './rewrapWrites.ts';
import { UploadWrites } from './uploadWrites.ts';

/** Arguments and result of each operation. `nowMs` is the client's clock. */
export interface WriteOperations {
  createBucket(bucket: BucketDocument, keyVersion: KeyVersionDocument | null): BucketDocument | null;
  updateBucket(bucket: BucketDocument, keyVersions: readonly KeyVersionDocument[], ifEmpty: boolean): void;
  deleteBucket(name: string, bucketUid: Id, expected: RemovableBucket, nowMs: number): void;
  dropReservation(name: string, bucketUid: Id): void;
  putKeyVersion(keyVersion: KeyVersionDocument): void;
  commitVersion(version: NewVersion, body: NewBody, expectCurrent: ExpectCurrent, nowMs: number): void;
  deleteObject(
    bucketName: string,
    bucketUid: Id,
    key: Uint8Array,
    expectCurrent: ExpectCurrent,
    nowMs: number,
  ): boolean;
  createUpload(bucketName: string, upload: UploadRow): void;
  commitPart(upload: PartTarget, part: UploadPart, crcs: BlobCrcs, nowMs: number): void;
  completeUpload(
    upload: UploadState,
    version: NewVersion,
    pages: readonly PartPage[],
    expectCurrent: ExpectCurrent,
    nowMs: number,
  ): void;
  abortUpload(bucketUid: Id, key: Uint8Array, uploadId: Id, nowMs: number): boolean;
  claimGarbage(items: readonly GarbageRef[]): readonly GarbageItem[];
  finishGarbage(items: readonly GarbageItem[]): void;
  forgetCompletedUploads(beforeMs: number): void;
  rewrap(bucketUid: Id, items: readonly Rewrapped[]): number;
  retireKeyVersion(bucketUid: Id, n: number): boolean;
  putJobState(kind: JobKind, bucketUid: Id, state: string | null): void;
  replaceBody(version: NewVersion, replaces: ReplacedBody, body: ReplacementBody, nowMs: number): boolean;
  putAccessKey(accessKey: AccessKeyDocument, ownBucketsOnly: boolean): void;
  deleteAccessKey(accessKeyId: string, revision: number | null): boolean;
  purge(name: string, bucketUid: Id, limit: number, nowMs: number): number;
  takeEpoch(): number;
}

export interface PartTarget {
  readonly bucketUid: Id;
  readonly uploadId: Id;
}

export interface UploadState {
  readonly uploadId: Id;
  readonly revision: number;
}

/** One operation as it travels to the writer thread. */
export type WriteCommand = {
  [Name in keyof WriteOperations]: { readonly name: Name; readonly args: Parameters<WriteOperations[Name]> };
}[keyof WriteOperations];

/** Operations that store something new; below the free-space reserve they are refused. */
const growing: ReadonlySet<keyof WriteOperations> = new Set([
  'createBucket',
  'commitVersion',
  'createUpload',
  'commitPart',
  'completeUpload',
  'replaceBody',
]);

export function grows(command: WriteCommand): boolean {
  return growing.has(command.name);
}

/** Prepares every statement once and answers commands with them. The caller owns the transaction. */
export function createWriteOperations(
  db: DatabaseSync,
  control: ControlRows,
): (command: WriteCommand) => unknown {
  const bodies = new BodyWrites(db);
  const keyVersions = new KeyVersionWrites(db, control);
  const rewraps = new RewrapWrites(db, keyVersions);
  const accessKeys = new AccessKeyWrites(db, control);
  const buckets = new BucketWrites(db, control, keyVersions, accessKeys);
  const replaces = new ReplaceWrites(db, buckets, bodies, keyVersions);
  const objects = new ObjectWrites(db, buckets, bodies, keyVersions);
  const uploads = new UploadWrites(db, control, buckets, bodies, objects, keyVersions);
  const garbage = new GarbageWrites(db);
  const purges = new PurgeWrites(db, buckets, bodies, keyVersions);
  const epochs = new EpochWrites(db);

  return (command) => {
    switch (command.name) {
      case 'createBucket':
        return buckets.createBucket(...command.args);
      case 'updateBucket':
        return buckets.updateBucket(...command.args);
      case 'deleteBucket':
        return buckets.deleteBucket(...command.args);
      case 'dropReservation':
        return buckets.dropReservation(...command.args);
      case 'putKeyVersion':
        return keyVersions.put(...command.args);
      case 'commitVersion':
        return objects.commitVersion(...command.args);
      case 'deleteObject':
        return objects.deleteObject(...command.args);
      case 'createUpload':
        return uploads.createUpload(...command.args);
      case 'commitPart':
        return uploads.commitPart(...command.args);
      case 'completeUpload':
        return uploads.completeUpload(...command.args);
      case 'abortUpload':
        return uploads.abortUpload(...command.args);
      case 'claimGarbage':
        return garbage.claimGarbage(...command.args);
      case 'finishGarbage':
        return garbage.finishGarbage(...command.args);
      case 'forgetCompletedUploads':
        return garbage.forgetCompletedUploads(...command.args);
      case 'rewrap':
        return rewraps.rewrap(...command.args);
      case 'retireKeyVersion':
        return keyVersions.retire(...command.args);
      case 'putJobState':
        return rewraps.putJobState(...command.args);
      case 'replaceBody':
        return replaces.replaceBody(...command.args);
      case 'putAccessKey':
        return putAccessKey(buckets, accessKeys, ...command.args);
      case 'deleteAccessKey':
        return accessKeys.delete(...command.args);
      case 'purge':
        return purges.purge(...command.args);
      case 'takeEpoch':
        return epochs.take();
    }
  };
}

/** In the transaction in which a bucket changes its owner, or is removed, its keys lose it: so no key comes after that. */
function putAccessKey(
  buckets: BucketWrites,
  accessKeys: AccessKeyWrites,
  accessKey: AccessKeyDocument,
  ownBucketsOnly: boolean,
): void {
  if (ownBucketsOnly)
    for (const { bucket } of accessKey.grants) buckets.requireOwner(bucket, accessKey.owner);
  accessKeys.put(accessKey);
}
