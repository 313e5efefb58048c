/** Re-encryption: another body, data key and record for a version, which stays the same to clients. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Id, MetadataError, type NewVersion, type ReplacementBody } from '../metadata.ts';
import type { BodyWrites } from './bodyWrites.ts';
import type { BucketWrites } from './bucketWrites.ts';
import { integer, optionalInteger, text } from './columns.ts';
import type { KeyVersionWrites } from './keyVersionWrites.ts';

/** What the version must still have. */
export interface ReplacedBody {
  readonly seq: number;
  readonly bodyId: Id;
}

const noCrcs = new Uint8Array(0);

export class ReplaceWrites {
  readonly #buckets: BucketWrites;
  readonly #bodies: BodyWrites;
  readonly #keyVersions: KeyVersionWrites;
  readonly #version: StatementSync;
  readonly #setVersion: StatementSync;
  readonly #setCurrent: StatementSync;

  constructor(db: DatabaseSync, buckets: BucketWrites, bodies: BodyWrites, keyVersions: KeyVersionWrites) {
    this.#buckets = buckets;
    this.#bodies = bodies;
    this.#keyVersions = keyVersions;
    this.#version = db.prepare(
      `SELECT body_no, body_id, n FROM object_version
       WHERE bucket_uid = ? AND key = ? AND seq = ? AND version_id = ? AND n IS NOT NULL`,
    );
    this.#setVersion = db.prepare(
      `UPDATE object_version SET body_id = ?, body_no = ?, suite = ?, chunk_log2 = ?, n = ?, wrap_salt = ?, sealed_key = ?,
         record_salt = ?, sealed_record = ? WHERE bucket_uid = ? AND key = ? AND seq = ?`,
    );
    this.#setCurrent = db.prepare(
      'UPDATE object_current SET etag = ?, n = ?, wrap_salt = ? WHERE bucket_uid = ? AND key = ? AND seq = ?',
    );
  }

  replaceBody(version: NewVersion, replaces: ReplacedBody, body: ReplacementBody, nowMs: number): boolean {
    const { bucketUid, key, versionId, bodyId, descriptor, listEtag } = version;
    const { seq } = replaces;
    if (descriptor === null) throw new MetadataError('Integrity', 'a body is replaced by a plain one');
    const { n, wrapSalt } = descriptor;
    this.#buckets.requireUid(bucketUid);
    this.#keyVersions.requireCurrent(bucketUid, n);
    const row = this.#version.get(bucketUid, key, seq, versionId);
    if (row === undefined || text(row, 'body_id') !== replaces.bodyId) return false;
    const bodyNo = this.#insert(bodyId, body, n);
    this.#setVersion.run(
      bodyId,
      bodyNo,
      descriptor.suite,
      descriptor.chunkLog2,
      n,
      wrapSalt,
      descriptor.sealedKey,
      descriptor.recordSalt,
      descriptor.sealedRecord,
      bucketUid,
      key,
      seq,
    );
    this.#setCurrent.run(listEtag, n, wrapSalt, bucketUid, key, seq);
    this.#keyVersions.moveVersion(bucketUid, optionalInteger(row, 'n'), n);
    this.#bodies.dropReference(integer(row, 'body_no'), replaces.bodyId, nowMs);
    return true;
  }

  #insert(bodyId: Id, body: ReplacementBody, n: number): number {
    if (body.kind !== 'parts') return this.#bodies.insertBody(bodyId, body, n);
    for (const { location, storedBytes } of body.blobs)
      this.#bodies.insertBlob(location, storedBytes, noCrcs);
    return this.#bodies.insertPartBody(bodyId, body.pages, n);
  }
}
