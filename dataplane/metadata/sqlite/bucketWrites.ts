/** Buckets: creation, settings, removal. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BucketDocument,
  type Id,
  type KeyVersionDocument,
  MetadataError,
  type RemovableBucket,
} from '../metadata.ts';
import type { AccessKeyWrites } from './accessKeyWrites.ts';
import { text } from './columns.ts';
import { bucketTable, type ControlRows, type StoredDocument, storedDocument } from './controlRows.ts';
import type { KeyVersionWrites } from './keyVersionWrites.ts';

export class BucketWrites {
  readonly #control: ControlRows;
  readonly #keyVersions: KeyVersionWrites;
  readonly #accessKeys: AccessKeyWrites;
  readonly #select: StatementSync;
  readonly #nameOf: StatementSync;
  readonly #insert: StatementSync;
  readonly #update: StatementSync;
  readonly #delete: StatementSync;
  readonly #insertUsage: StatementSync;
  readonly #deleteUsage: StatementSync;
  readonly #anyObject: StatementSync;
  readonly #anyUpload: StatementSync;
  readonly #discardParts: StatementSync;
  readonly #deleteParts: StatementSync;
  readonly #deleteUploads: StatementSync;
  readonly #deleteJobStates: StatementSync;

  constructor(
    db: DatabaseSync,
    control: ControlRows,
    keyVersions: KeyVersionWrites,
    accessKeys: AccessKeyWrites,
  ) {
    this.#control = control;
    this.#keyVersions = keyVersions;
    this.#accessKeys = accessKeys;
    this.#select = db.prepare('SELECT bucket_uid, document, control_mac FROM bucket WHERE name = ?');
    this.#nameOf = db.prepare('SELECT name FROM bucket WHERE bucket_uid = ?');
    this.#insert = db.prepare(
      'INSERT INTO bucket (name, bucket_uid, owner_id, document, control_mac) VALUES (?, ?, ?, ?, ?)',
    );
    this.#update = db.prepare('UPDATE bucket SET owner_id = ?, document = ?, control_mac = ? WHERE name = ?');
    this.#delete = db.prepare('DELETE FROM bucket WHERE name = ?');
    this.#insertUsage = db.prepare(
      'INSERT INTO bucket_usage (bucket_uid, objects, bytes, last_seq) VALUES (?, 0, 0, 0)',
    );
    this.#deleteUsage = db.prepare('DELETE FROM bucket_usage WHERE bucket_uid = ?');
    this.#anyObject = db.prepare('SELECT 1 FROM object_version WHERE bucket_uid = ? LIMIT 1');
    this.#anyUpload = db.prepare('SELECT 1 FROM upload WHERE bucket_uid = ? LIMIT 1');
    this.#discardParts = db.prepare(
      `INSERT OR IGNORE INTO garbage (kind, id, body_no, since_ms, claimed)
       SELECT 'blob', part.blob_id, NULL, ?, 0 FROM upload JOIN upload_part AS part USING (upload_id) WHERE upload.bucket_uid = ?`,
    );
    this.#deleteParts = db.prepare(
      'DELETE FROM upload_part WHERE upload_id IN (SELECT upload_id FROM upload WHERE bucket_uid = ?)',
    );
    this.#deleteUploads = db.prepare('DELETE FROM upload WHERE bucket_uid = ?');
    this.#deleteJobStates = db.prepare('DELETE FROM job_state WHERE bucket_uid = ?');
  }

  /** The bucket of this name and uid, its MAC verified; 'NoSuchBucket' when it is gone or in another state. */
  require(name: string, bucketUid: Id, state: BucketDocument['state'] = 'Ready'): BucketDocument {
    const { bucket } = this.#existing(name, bucketUid);
    if (bucket.state !== state) throw noSuchBucket();
    return bucket;
  }

  /** The same for a bucket whose name is not at hand. */
  requireUid(bucketUid: Id): BucketDocument {
    const row = this.#nameOf.get(bucketUid);
    if (row === undefined) throw noSuchBucket();
    return this.require(text(row, 'name'), bucketUid);
  }

  createBucket(bucket: BucketDocument, keyVersion: KeyVersionDocument | null): BucketDocument | null {
    const existing = this.#load(bucket.name);
    if (existing !== null) return existing.bucket;
    const { document, controlMac } = this.#control.seal(bucketTable, bucket, null);
    this.#insert.run(bucket.name, bucket.bucketUid, bucket.ownerId, document, controlMac);
    this.#insertUsage.run(bucket.bucketUid);
    if (keyVersion !== null) this.#keyVersions.put(keyVersion);
    return null;
  }

  updateBucket(bucket: BucketDocument, keyVersions: readonly KeyVersionDocument[], ifEmpty: boolean): void {
    const { bucketUid } = bucket;
    const found = this.#existing(bucket.name, bucketUid);
    if (found.bucket.revision !== bucket.revision - 1) {
      throw new MetadataError('Conflict', 'the bucket was changed meanwhile');
    }
    if (ifEmpty) {
      this.#requireNoObject(bucketUid);
      if (this.#anyUpload.get(bucketUid) !== undefined)
        throw new MetadataError('NotEmpty', 'the bucket has open uploads');
    }
    const { document, controlMac } = this.#control.seal(bucketTable, bucket, found.stored);
    this.#update.run(bucket.ownerId, document, controlMac, bucket.name);
    for (const keyVersion of keyVersions) this.#keyVersions.put(keyVersion);
    if (found.bucket.owner !== bucket.owner) this.#leaveOwner(found.bucket);
  }

  deleteBucket(name: string, bucketUid: Id, { state, owner }: RemovableBucket, nowMs: number): void {
    const { bucket } = this.#existing(name, bucketUid);
    if (bucket.state !== state) throw noSuchBucket();
    if (bucket.owner !== owner) throw new MetadataError('Conflict', 'the bucket was changed meanwhile');
    this.#requireNoObject(bucketUid);
    this.#discardParts.run(nowMs, bucketUid);
    this.#deleteParts.run(bucketUid);
    this.#deleteUploads.run(bucketUid);
    this.#keyVersions.retireAll(bucketUid);
    this.#deleteJobStates.run(bucketUid);
    this.#deleteUsage.run(bucketUid);
    this.#delete.run(name);
    this.#leaveOwner(bucket);
  }

  dropReservation(name: string, bucketUid: Id): void {
    const { bucket } = this.#existing(name, bucketUid);
    if (bucket.state !== 'Creating') throw new MetadataError('Conflict', 'the bucket is ready');
    this.#keyVersions.forget(bucketUid);
    this.#deleteUsage.run(bucketUid);
    this.#delete.run(name);
  }

  /** 'Conflict' unless this owner has declared the bucket of that name. */
  requireOwner(name: string, owner: string): void {
    if (this.#load(name)?.bucket.owner !== owner)
      throw new MetadataError('Conflict', `bucket ${name} is not declared by ${owner}`);
  }

  #leaveOwner({ name, owner }: BucketDocument): void {
    if (owner !== null) this.#accessKeys.endGrants(owner, name);
  }

  #requireNoObject(bucketUid: Id): void {
    if (this.#anyObject.get(bucketUid) !== undefined)
      throw new MetadataError('NotEmpty', 'the bucket holds objects');
  }

  #existing(name: string, bucketUid: Id): { bucket: BucketDocument; stored: StoredDocument } {
    const found = this.#load(name);
    if (found === null || found.bucket.bucketUid !== bucketUid) throw noSuchBucket();
    return found;
  }

  #load(name: string): { bucket: BucketDocument; stored: StoredDocument } | null {
    const row = this.#select.get(name);
    if (row === undefined) return null;
    const stored = storedDocument(row);
    return { bucket: this.#control.open(bucketTable, [name, text(row, 'bucket_uid')], stored), stored };
  }
}

function noSuchBucket(): MetadataError {
  return new MetadataError('NoSuchBucket', 'the bucket does not exist any more');
}
