/** Multipart uploads: open, parts, complete, abort. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BlobCrcs,
  type ExpectCurrent,
  type Id,
  MetadataError,
  type NewVersion,
  type PartPage,
  type UploadPart,
  type UploadRow,
} from '../metadata.ts';
import type { BodyWrites } from './bodyWrites.ts';
import type { BucketWrites } from './bucketWrites.ts';
import { integer, optionalInteger, text } from './columns.ts';
import {
  type ControlRows,
  storedDocument,
  type UploadDocument,
  uploadDocument,
  uploadTable,
} from './controlRows.ts';
import type { KeyVersionWrites } from './keyVersionWrites.ts';
import type { ObjectWrites } from './objectWrites.ts';
import type { PartTarget, UploadState } from './writeOperations.ts';

export class UploadWrites {
  readonly #control: ControlRows;
  readonly #buckets: BucketWrites;
  readonly #bodies: BodyWrites;
  readonly #objects: ObjectWrites;
  readonly #keyVersions: KeyVersionWrites;
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #delete: StatementSync;
  readonly #countPart: StatementSync;
  readonly #selectPart: StatementSync;
  readonly #selectParts: StatementSync;
  readonly #putPart: StatementSync;
  readonly #deleteParts: StatementSync;
  readonly #remember: StatementSync;

  constructor(
    db: DatabaseSync,
    control: ControlRows,
    buckets: BucketWrites,
    bodies: BodyWrites,
    objects: ObjectWrites,
    keyVersions: KeyVersionWrites,
  ) {
    this.#control = control;
    this.#buckets = buckets;
    this.#bodies = bodies;
    this.#objects = objects;
    this.#keyVersions = keyVersions;
    this.#select = db.prepare(
      'SELECT document, control_mac, revision, n, data_key_n FROM upload WHERE upload_id = ?',
    );
    this.#insert = db.prepare(
      `INSERT INTO upload (upload_id, bucket_uid, key, document, control_mac, n, wrap_salt, sealed_key, data_key_n,
         revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`,
    );
    this.#delete = db.prepare('DELETE FROM upload WHERE upload_id = ?');
    this.#countPart = db.prepare('UPDATE upload SET revision = revision + 1 WHERE upload_id = ?');
    this.#selectPart = db.prepare('SELECT blob_id FROM upload_part WHERE upload_id = ? AND part_number = ?');
    this.#selectParts = db.prepare('SELECT part_number, blob_id FROM upload_part WHERE upload_id = ?');
    this.#putPart = db.prepare(
      `INSERT OR REPLACE INTO upload_part (upload_id, part_number, size, blob_id, salt, digest_salt, digests, part_mac,
         last_modified_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#deleteParts = db.prepare('DELETE FROM upload_part WHERE upload_id = ?');
    this.#remember = db.prepare(
      'INSERT INTO completed_upload (upload_id, bucket_uid, key, version_id, completed_ms) VALUES (?, ?, ?, ?, ?)',
    );
  }

  createUpload(bucketName: string, upload: UploadRow): void {
    const bucket = this.#buckets.require(bucketName, upload.bucketUid);
    if (!upload.encrypted && !bucket.everPlain) {
      throw new MetadataError(
        bucket.owner === null ? 'Integrity' : 'Conflict',
        'a plain upload in a bucket that was never plain',
      );
    }
    const { uploadId, bucketUid, key, sealed } = upload;
    const n = sealed?.n ?? null;
    if (n !== null) this.#keyVersions.requireUsable(bucketUid, n);
    const { document, controlMac } = this.#control.seal(uploadTable, uploadDocument(upload), null);
    this.#insert.run(
      uploadId,
      bucketUid,
      key,
      document,
      controlMac,
      n,
      sealed?.wrapSalt ?? null,
      sealed?.sealedKey ?? null,
      n ?? 0,
    );
    this.#keyVersions.moveUpload(bucketUid, null, n);
  }

  commitPart(upload: PartTarget, part: UploadPart, crcs: BlobCrcs, nowMs: number): void {
    const { uploadId } = upload;
    if (this.#require(uploadId).document.bucketUid !== upload.bucketUid) throw noSuchUpload();
    this.#buckets.requireUid(upload.bucketUid);
    const replaced = this.#selectPart.get(uploadId, part.partNumber);
    if (replaced !== undefined) this.#bodies.discardBlob(text(replaced, 'blob_id'), nowMs);
    this.#bodies.insertBlob(part.location, part.storedBytes, crcs);
    this.#putPart.run(
      uploadId,
      part.partNumber,
      part.size,
      part.location.blobId,
      part.salt,
      part.digestSalt,
      part.digests,
      part.partMac,
      part.lastModifiedMs,
    );
    this.#countPart.run(uploadId);
  }

  completeUpload(
    upload: UploadState,
    version: NewVersion,
    pages: readonly PartPage[],
    expectCurrent: ExpectCurrent,
    nowMs: number,
  ): void {
    const { document, revision, n, dataKeyN } = this.#require(upload.uploadId);
    if (document.bucketUid !== version.bucketUid || !sameKey(document, version.key)) throw noSuchUpload();
    if (revision !== upload.revision) throw uploadChanged();
    if (document.bodyId !== version.bodyId || document.encrypted !== (version.descriptor !== null)) {
      throw new MetadataError('Integrity', 'the version is not the one that the upload was opened for');
    }
    this.#objects.admit(version, expectCurrent);
    this.#useParts(upload.uploadId, pages, nowMs);
    const bodyNo = this.#bodies.insertPartBody(version.bodyId, pages, dataKeyN);
    this.#objects.replaceNull(version, bodyNo, nowMs);
    this.#end(upload.uploadId);
    this.#keyVersions.moveUpload(version.bucketUid, n, null);
    this.#remember.run(upload.uploadId, version.bucketUid, version.key, version.versionId, nowMs);
  }

  abortUpload(bucketUid: Id, key: Uint8Array, uploadId: Id, nowMs: number): boolean {
    const row = this.#select.get(uploadId);
    if (row === undefined) return false;
    const document = this.#control.open(uploadTable, [uploadId], storedDocument(row));
    if (document.bucketUid !== bucketUid || !sameKey(document, key)) return false;
    this.#useParts(uploadId, [], nowMs);
    this.#end(uploadId);
    this.#keyVersions.moveUpload(bucketUid, optionalInteger(row, 'n'), null);
    return true;
  }

  #require(uploadId: Id): OpenUpload {
    const row = this.#select.get(uploadId);
    if (row === undefined) throw noSuchUpload();
    const document = this.#control.open(uploadTable, [uploadId], storedDocument(row));
    return {
      document,
      revision: integer(row, 'revision'),
      n: optionalInteger(row, 'n'),
      dataKeyN: integer(row, 'data_key_n'),
    };
  }

  /** Every entry must still be a part of the upload; parts without an entry become garbage. */
  #useParts(uploadId: Id, pages: readonly PartPage[], nowMs: number): void {
    const blobs = new Map<number, Id>();
    for (const row of this.#selectParts.all(uploadId))
      blobs.set(integer(row, 'part_number'), text(row, 'blob_id'));
    for (const { parts } of pages) {
      for (const { partNumber, location } of parts) {
        if (blobs.get(partNumber) !== location.blobId) throw uploadChanged();
        blobs.delete(partNumber);
      }
    }
    for (const blobId of blobs.values()) this.#bodies.discardBlob(blobId, nowMs);
  }

  #end(uploadId: Id): void {
    this.#deleteParts.run(uploadId);
    this.#delete.run(uploadId);
  }
}

interface OpenUpload {
  readonly document: UploadDocument;
  readonly revision: number;
  readonly n: number | null;
  /** The key version that the data key was sealed under first. */
  readonly dataKeyN: number;
}

function sameKey(document: UploadDocument, key: Uint8Array): boolean {
  return Buffer.from(document.key, 'base64').equals(key);
}

function noSuchUpload(): MetadataError {
  return new MetadataError('NoSuchUpload', 'the upload was ended or never existed');
}

function uploadChanged(): MetadataError {
  return new MetadataError('UploadChanged', 'the parts of the upload were changed meanwhile');
}
