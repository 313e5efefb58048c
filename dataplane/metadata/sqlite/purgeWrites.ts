/**
 * Purging a bucket: its rows go batch by batch, so that no transaction grows with the bucket.
 *
 * The bucket must be Deleting: from then on every commit into it is refused, so what was removed stays removed.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Id } from '../metadata.ts';
import type { BodyWrites } from './bodyWrites.ts';
import type { BucketWrites } from './bucketWrites.ts';
import { bytes, integer, optionalInteger, text } from './columns.ts';
import type { KeyVersionWrites } from './keyVersionWrites.ts';

export class PurgeWrites {
  readonly #buckets: BucketWrites;
  readonly #bodies: BodyWrites;
  readonly #keyVersions: KeyVersionWrites;
  readonly #versions: StatementSync;
  readonly #deleteVersion: StatementSync;
  readonly #deleteCurrent: StatementSync;
  readonly #countOut: StatementSync;
  readonly #deleteStrays: StatementSync;
  readonly #parts: StatementSync;
  readonly #deletePart: StatementSync;
  readonly #uploads: StatementSync;
  readonly #deleteUpload: StatementSync;

  constructor(db: DatabaseSync, buckets: BucketWrites, bodies: BodyWrites, keyVersions: KeyVersionWrites) {
    this.#buckets = buckets;
    this.#bodies = bodies;
    this.#keyVersions = keyVersions;
    this.#versions = db.prepare(
      'SELECT key, seq, body_no, body_id, size, n FROM object_version WHERE bucket_uid = ? ORDER BY key, seq LIMIT ?',
    );
    this.#deleteVersion = db.prepare(
      'DELETE FROM object_version WHERE bucket_uid = ? AND key = ? AND seq = ?',
    );
    this.#deleteCurrent = db.prepare(
      'DELETE FROM object_current WHERE bucket_uid = ? AND key = ? AND seq = ?',
    );
    this.#countOut = db.prepare(
      'UPDATE bucket_usage SET objects = objects - 1, bytes = bytes - ? WHERE bucket_uid = ?',
    );
    // Rows of listings without a version can only come from an edited file; they must not outlive their bucket.
    this.#deleteStrays = db.prepare(
      `DELETE FROM object_current WHERE bucket_uid = ?1
       AND key IN (SELECT key FROM object_current WHERE bucket_uid = ?1 LIMIT ?2)`,
    );
    this.#parts = db.prepare(
      `SELECT part.upload_id, part.part_number, part.blob_id FROM upload JOIN upload_part AS part USING (upload_id)
       WHERE upload.bucket_uid = ? LIMIT ?`,
    );
    this.#deletePart = db.prepare('DELETE FROM upload_part WHERE upload_id = ? AND part_number = ?');
    this.#uploads = db.prepare('SELECT upload_id, n FROM upload WHERE bucket_uid = ? LIMIT ?');
    this.#deleteUpload = db.prepare('DELETE FROM upload WHERE upload_id = ?');
  }

  /** How many rows went, at most `limit`; 0: nothing is left. */
  purge(name: string, bucketUid: Id, limit: number, nowMs: number): number {
    this.#buckets.require(name, bucketUid, 'Deleting');
    return (
      this.#purgeVersions(bucketUid, limit, nowMs) ||
      this.#purgeStrays(bucketUid, limit) ||
      this.#purgeParts(bucketUid, limit, nowMs) ||
      this.#purgeUploads(bucketUid, limit)
    );
  }

  #purgeVersions(bucketUid: Id, limit: number, nowMs: number): number {
    const rows = this.#versions.all(bucketUid, limit);
    for (const row of rows) {
      const key = bytes(row, 'key');
      const seq = integer(row, 'seq');
      this.#deleteVersion.run(bucketUid, key, seq);
      this.#deleteCurrent.run(bucketUid, key, seq);
      this.#bodies.dropReference(integer(row, 'body_no'), text(row, 'body_id'), nowMs);
      this.#keyVersions.moveVersion(bucketUid, optionalInteger(row, 'n'), null);
      this.#countOut.run(integer(row, 'size'), bucketUid);
    }
    return rows.length;
  }

  #purgeStrays(bucketUid: Id, limit: number): number {
    return Number(this.#deleteStrays.run(bucketUid, limit).changes);
  }

  #purgeParts(bucketUid: Id, limit: number, nowMs: number): number {
    const rows = this.#parts.all(bucketUid, limit);
    for (const row of rows) {
      this.#bodies.discardBlob(text(row, 'blob_id'), nowMs);
      this.#deletePart.run(text(row, 'upload_id'), integer(row, 'part_number'));
    }
    return rows.length;
  }

  #purgeUploads(bucketUid: Id, limit: number): number {
    const rows = this.#uploads.all(bucketUid, limit);
    for (const row of rows) {
      this.#deleteUpload.run(text(row, 'upload_id'));
      this.#keyVersions.moveUpload(bucketUid, optionalInteger(row, 'n'), null);
    }
    return rows.length;
  }
}
