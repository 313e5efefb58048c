/** Object versions: commit, replace, delete, each with its preconditions in the same transaction. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BucketDocument,
  type ExpectCurrent,
  type Id,
  MetadataError,
  type NewBody,
  type NewVersion,
} from '../metadata.ts';
import type { BodyWrites } from './bodyWrites.ts';
import type { BucketWrites } from './bucketWrites.ts';
import { integer, optionalInteger, text } from './columns.ts';
import type { KeyVersionWrites } from './keyVersionWrites.ts';

export class ObjectWrites {
  readonly #buckets: BucketWrites;
  readonly #bodies: BodyWrites;
  readonly #keyVersions: KeyVersionWrites;
  readonly #current: StatementSync;
  readonly #nullVersion: StatementSync;
  readonly #sourceBody: StatementSync;
  readonly #insertVersion: StatementSync;
  readonly #deleteVersion: StatementSync;
  readonly #putCurrent: StatementSync;
  readonly #deleteCurrent: StatementSync;
  readonly #countIn: StatementSync;
  readonly #countOut: StatementSync;

  constructor(db: DatabaseSync, buckets: BucketWrites, bodies: BodyWrites, keyVersions: KeyVersionWrites) {
    this.#buckets = buckets;
    this.#bodies = bodies;
    this.#keyVersions = keyVersions;
    this.#current = db.prepare('SELECT version_id FROM object_current WHERE bucket_uid = ? AND key = ?');
    this.#nullVersion = db.prepare(
      'SELECT seq, body_no, body_id, size, n FROM object_version WHERE bucket_uid = ? AND key = ? AND is_null = 1',
    );
    this.#sourceBody = db.prepare(
      'SELECT body_id, body_no FROM object_version WHERE bucket_uid = ? AND key = ? AND version_id = ?',
    );
    this.#insertVersion = db.prepare(
      `INSERT INTO object_version (bucket_uid, key, seq, version_id, is_null, last_modified_ms, body_id, body_no, size,
         part_count,
         suite, chunk_log2, n, wrap_salt, sealed_key, record_salt, sealed_record, clear_record)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#deleteVersion = db.prepare(
      'DELETE FROM object_version WHERE bucket_uid = ? AND key = ? AND seq = ?',
    );
    this.#putCurrent = db.prepare(
      `INSERT OR REPLACE INTO object_current (bucket_uid, key, seq, version_id, size, last_modified_ms, etag, etag_parts,
         n, wrap_salt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#deleteCurrent = db.prepare('DELETE FROM object_current WHERE bucket_uid = ? AND key = ?');
    // last_seq never falls, so a seq exceeds every seq that its key ever had.
    this.#countIn = db.prepare(
      `UPDATE bucket_usage SET objects = objects + 1, bytes = bytes + ?, last_seq = last_seq + 1 WHERE bucket_uid = ?
       RETURNING last_seq`,
    );
    this.#countOut = db.prepare(
      'UPDATE bucket_usage SET objects = objects - 1, bytes = bytes - ? WHERE bucket_uid = ?',
    );
  }

  commitVersion(version: NewVersion, body: NewBody, expectCurrent: ExpectCurrent, nowMs: number): void {
    this.admit(version, expectCurrent);
    // The new reference is taken before the old one goes: a copy onto itself must not pass through refs 0.
    const bodyNo =
      body.kind === 'shared'
        ? this.#shareBody(version, body.sourceKey, body.sourceVersionId)
        : this.#bodies.insertBody(version.bodyId, body, version.descriptor?.n ?? 0);
    this.replaceNull(version, bodyNo, nowMs);
  }

  /** The preconditions of a version that is about to become current. */
  admit(version: NewVersion, expectCurrent: ExpectCurrent): BucketDocument {
    const bucket = this.#buckets.require(version.bucketName, version.bucketUid);
    if (bucket.versioning !== version.versioning) {
      throw new MetadataError('Conflict', 'the versioning of the bucket was changed meanwhile');
    }
    if (version.descriptor === null && !bucket.everPlain) {
      // A bucket that was adopted empty: who began to write before that writes again, encrypted.
      throw new MetadataError(
        bucket.owner === null ? 'Integrity' : 'Conflict',
        'a plain version in a bucket that was never plain',
      );
    }
    this.#expect(version.bucketUid, version.key, expectCurrent);
    if (version.descriptor !== null) this.#keyVersions.requireUsable(version.bucketUid, version.descriptor.n);
    return bucket;
  }

  /** Makes the version the null version and the current one; the null version before it loses its body. */
  replaceNull(version: NewVersion, bodyNo: number, nowMs: number): void {
    const replaced = this.#removeNull(version.bucketUid, version.key, nowMs);
    const { bucketUid, key, versionId, size, lastModifiedMs, descriptor } = version;
    const counted = this.#countIn.get(size, bucketUid);
    if (counted === undefined) throw new MetadataError('Integrity', 'the bucket has no usage row');
    const seq = integer(counted, 'last_seq');
    this.#insertVersion.run(
      bucketUid,
      key,
      seq,
      versionId,
      version.isNull ? 1 : 0,
      lastModifiedMs,
      version.bodyId,
      bodyNo,
      size,
      version.partCount,
      descriptor?.suite ?? null,
      descriptor?.chunkLog2 ?? null,
      descriptor?.n ?? null,
      descriptor?.wrapSalt ?? null,
      descriptor?.sealedKey ?? null,
      descriptor?.recordSalt ?? null,
      descriptor?.sealedRecord ?? null,
      version.clearRecord,
    );
    const n = descriptor?.n ?? null;
    this.#keyVersions.moveVersion(bucketUid, replaced?.n ?? null, n);
    const wrapSalt = descriptor?.wrapSalt ?? null;
    const { listEtag, etagParts } = version;
    this.#putCurrent.run(
      bucketUid,
      key,
      seq,
      versionId,
      size,
      lastModifiedMs,
      listEtag,
      etagParts,
      n,
      wrapSalt,
    );
  }

  deleteObject(
    bucketName: string,
    bucketUid: Id,
    key: Uint8Array,
    expectCurrent: ExpectCurrent,
    nowMs: number,
  ): boolean {
    this.#buckets.require(bucketName, bucketUid);
    this.#expect(bucketUid, key, expectCurrent);
    const removed = this.#removeNull(bucketUid, key, nowMs);
    if (removed !== null) this.#keyVersions.moveVersion(bucketUid, removed.n, null);
    return this.#deleteCurrent.run(bucketUid, key).changes > 0 || removed !== null;
  }

  #expect(bucketUid: Id, key: Uint8Array, expectCurrent: ExpectCurrent): void {
    if (expectCurrent === undefined) return;
    const row = this.#current.get(bucketUid, key);
    const current = row === undefined ? 'absent' : text(row, 'version_id');
    if (current !== expectCurrent) {
      throw new MetadataError('PreconditionFailed', 'another version is current');
    }
  }

  #shareBody(version: NewVersion, sourceKey: Uint8Array, sourceVersionId: Id): number {
    const row = this.#sourceBody.get(version.bucketUid, sourceKey, sourceVersionId);
    if (row === undefined || text(row, 'body_id') !== version.bodyId) {
      throw new MetadataError('SourceChanged', 'the source of the copy is gone');
    }
    const bodyNo = integer(row, 'body_no');
    this.#bodies.addReference(bodyNo, version.bodyId);
    return bodyNo;
  }

  /** What the null version was sealed under; null when there is none. */
  #removeNull(bucketUid: Id, key: Uint8Array, nowMs: number): { readonly n: number | null } | null {
    const row = this.#nullVersion.get(bucketUid, key);
    if (row === undefined) return null;
    this.#deleteVersion.run(bucketUid, key, integer(row, 'seq'));
    this.#bodies.dropReference(integer(row, 'body_no'), text(row, 'body_id'), nowMs);
    this.#countOut.run(integer(row, 'size'), bucketUid);
    return { n: optionalInteger(row, 'n') };
  }
}
