/** Re-sealing: a new seal replaces the one that was read and no other, and the counts move with it. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Id, JobKind, Rewrapped } from '../metadata.ts';
import { integer, optionalInteger } from './columns.ts';
import type { KeyVersionWrites } from './keyVersionWrites.ts';

type RewrappedVersion = Rewrapped & { readonly kind: 'version' };
type RewrappedUpload = Rewrapped & { readonly kind: 'upload' };

export class RewrapWrites {
  readonly #keyVersions: KeyVersionWrites;
  readonly #version: StatementSync;
  readonly #current: StatementSync;
  readonly #sealVersion: StatementSync;
  readonly #sealCurrent: StatementSync;
  readonly #upload: StatementSync;
  readonly #sealUpload: StatementSync;
  readonly #putState: StatementSync;
  readonly #deleteState: StatementSync;

  constructor(db: DatabaseSync, keyVersions: KeyVersionWrites) {
    this.#keyVersions = keyVersions;
    this.#version = db.prepare(
      'SELECT n FROM object_version WHERE bucket_uid = ? AND key = ? AND seq = ? AND sealed_key = ?',
    );
    this.#current = db.prepare('SELECT seq FROM object_current WHERE bucket_uid = ? AND key = ?');
    this.#sealVersion = db.prepare(
      'UPDATE object_version SET n = ?, wrap_salt = ?, sealed_key = ? WHERE bucket_uid = ? AND key = ? AND seq = ?',
    );
    this.#sealCurrent = db.prepare(
      'UPDATE object_current SET n = ?, wrap_salt = ?, etag = ? WHERE bucket_uid = ? AND key = ? AND seq = ?',
    );
    this.#upload = db.prepare(
      'SELECT n FROM upload WHERE upload_id = ? AND bucket_uid = ? AND sealed_key = ?',
    );
    this.#sealUpload = db.prepare(
      'UPDATE upload SET n = ?, wrap_salt = ?, sealed_key = ? WHERE upload_id = ?',
    );
    this.#putState = db.prepare(
      'INSERT OR REPLACE INTO job_state (kind, bucket_uid, state) VALUES (?, ?, ?)',
    );
    this.#deleteState = db.prepare('DELETE FROM job_state WHERE kind = ? AND bucket_uid = ?');
  }

  rewrap(bucketUid: Id, items: readonly Rewrapped[]): number {
    for (const n of new Set(items.map((item) => item.n))) this.#keyVersions.requireCurrent(bucketUid, n);
    let replaced = 0;
    for (const item of items) {
      const done =
        item.kind === 'version' ? this.#rewrapVersion(bucketUid, item) : this.#rewrapUpload(bucketUid, item);
      if (done) replaced += 1;
    }
    return replaced;
  }

  putJobState(kind: JobKind, bucketUid: Id, state: string | null): void {
    if (state === null) this.#deleteState.run(kind, bucketUid);
    else this.#putState.run(kind, bucketUid, state);
  }

  #rewrapVersion(bucketUid: Id, item: RewrappedVersion): boolean {
    const { key, seq, n, wrapSalt, sealedKey, listEtag } = item;
    const row = this.#version.get(bucketUid, key, seq, item.expectSealedKey);
    if (row === undefined) return false;
    const current = this.#current.get(bucketUid, key);
    const listed = current !== undefined && integer(current, 'seq') === seq;
    // Listings began or ended to show it after it was read: its ETag has to be masked anew, or not at all.
    if (listed !== (listEtag !== null)) return false;
    this.#sealVersion.run(n, wrapSalt, sealedKey, bucketUid, key, seq);
    if (listEtag !== null) this.#sealCurrent.run(n, wrapSalt, listEtag, bucketUid, key, seq);
    this.#keyVersions.moveVersion(bucketUid, optionalInteger(row, 'n'), n);
    return true;
  }

  #rewrapUpload(bucketUid: Id, item: RewrappedUpload): boolean {
    const { uploadId, n, wrapSalt, sealedKey } = item;
    const row = this.#upload.get(uploadId, bucketUid, item.expectSealedKey);
    if (row === undefined) return false;
    this.#sealUpload.run(n, wrapSalt, sealedKey, uploadId);
    this.#keyVersions.moveUpload(bucketUid, optionalInteger(row, 'n'), n);
    return true;
  }
}
