/** What rotation reads: key versions and their uses, sealed data keys in pages, what jobs wrote down. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type {
  Id,
  JobKind,
  KeyPosition,
  KeyUses,
  Metadata,
  SealedPage,
  SealedUpload,
  SealedVersion,
  UploadPosition,
} from '../metadata.ts';
import { bytes, integer, optionalBytes, type Row, text } from './columns.ts';
import { snapshot } from './objectReads.ts';

type SealedVersionsQuery = Parameters<Metadata['sealedVersions']>[0];
type SealedUploadsQuery = Parameters<Metadata['sealedUploads']>[0];

/** Uses of each key version: what is kept of them, and what the rows add up to. */
export interface KeyUsesEntry {
  readonly stored: ReadonlyMap<number, KeyUses>;
  readonly counted: ReadonlyMap<number, KeyUses>;
}

const nothing = new Uint8Array(0);

export class RotationReads {
  readonly #db: DatabaseSync;
  readonly #uses: StatementSync;
  readonly #lastVersion: StatementSync;
  readonly #versions: StatementSync;
  readonly #lastUpload: StatementSync;
  readonly #uploads: StatementSync;
  readonly #jobState: StatementSync;
  readonly #counted: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#uses = db.prepare('SELECT n, versions, uploads FROM key_usage WHERE bucket_uid = ?');
    // A page is bounded by what is looked at, not by what is found: the last pass over a bucket finds nothing.
    this.#lastVersion = db.prepare(
      `SELECT key, seq FROM (SELECT key, seq FROM object_version WHERE bucket_uid = ? AND (key, seq) > (?, ?)
         ORDER BY key, seq LIMIT ?) ORDER BY key DESC, seq DESC LIMIT 1`,
    );
    this.#versions = db.prepare(
      `SELECT version.key, version.seq, version.version_id, version.n, version.wrap_salt, version.sealed_key, current.etag
       FROM object_version AS version
       LEFT JOIN object_current AS current ON current.bucket_uid = version.bucket_uid AND current.key = version.key
         AND current.seq = version.seq AND current.n = version.n AND current.wrap_salt = version.wrap_salt
       WHERE version.bucket_uid = ? AND (version.key, version.seq) > (?, ?) AND (version.key, version.seq) <= (?, ?)
         AND version.n < ? ORDER BY version.key, version.seq`,
    );
    this.#lastUpload = db.prepare(
      `SELECT key, upload_id FROM (SELECT key, upload_id FROM upload WHERE bucket_uid = ? AND (key, upload_id) > (?, ?)
         ORDER BY key, upload_id LIMIT ?) ORDER BY key DESC, upload_id DESC LIMIT 1`,
    );
    this.#uploads = db.prepare(
      `SELECT key, upload_id, n, wrap_salt, sealed_key FROM upload
       WHERE bucket_uid = ? AND (key, upload_id) > (?, ?) AND (key, upload_id) <= (?, ?) AND n < ?
       ORDER BY key, upload_id`,
    );
    this.#counted = db.prepare(
      `SELECT n, sum(versions) AS versions, sum(uploads) AS uploads FROM (
         SELECT n, 1 AS versions, 0 AS uploads FROM object_version WHERE bucket_uid = ?1 AND n IS NOT NULL
         UNION ALL SELECT n, 0, 1 FROM upload WHERE bucket_uid = ?1 AND n IS NOT NULL
       ) GROUP BY n`,
    );
    this.#jobState = db.prepare('SELECT state FROM job_state WHERE kind = ? AND bucket_uid = ?');
  }

  keyUses(bucketUid: Id): ReadonlyMap<number, KeyUses> {
    return usesIn(this.#uses.all(bucketUid));
  }

  /** The uses that are kept, and those that all rows add up to, at one instant. Reads every row: for a person who waits. */
  keyUsesEntry(bucketUid: Id): KeyUsesEntry {
    return snapshot(this.#db, () => ({
      stored: this.keyUses(bucketUid),
      counted: usesIn(this.#counted.all(bucketUid)),
    }));
  }

  versions({ bucketUid, below, after, limit }: SealedVersionsQuery): SealedPage<SealedVersion, KeyPosition> {
    const from = after ?? { key: nothing, seq: -1 };
    return snapshot(this.#db, () => {
      const last = this.#lastVersion.get(bucketUid, from.key, from.seq, limit);
      if (last === undefined) return { items: [], next: null };
      const next = { key: bytes(last, 'key'), seq: integer(last, 'seq') };
      const rows = this.#versions.all(bucketUid, from.key, from.seq, next.key, next.seq, below);
      const items = rows.map((row) => ({
        key: bytes(row, 'key'),
        seq: integer(row, 'seq'),
        versionId: text(row, 'version_id'),
        n: integer(row, 'n'),
        wrapSalt: bytes(row, 'wrap_salt'),
        sealedKey: bytes(row, 'sealed_key'),
        listEtag: optionalBytes(row, 'etag'),
      }));
      return { items, next };
    });
  }

  uploads({ bucketUid, below, after, limit }: SealedUploadsQuery): SealedPage<SealedUpload, UploadPosition> {
    const from = after ?? { key: nothing, uploadId: '' };
    return snapshot(this.#db, () => {
      const last = this.#lastUpload.get(bucketUid, from.key, from.uploadId, limit);
      if (last === undefined) return { items: [], next: null };
      const next = { key: bytes(last, 'key'), uploadId: text(last, 'upload_id') };
      const rows = this.#uploads.all(bucketUid, from.key, from.uploadId, next.key, next.uploadId, below);
      const items = rows.map((row) => ({
        key: bytes(row, 'key'),
        uploadId: text(row, 'upload_id'),
        n: integer(row, 'n'),
        wrapSalt: bytes(row, 'wrap_salt'),
        sealedKey: bytes(row, 'sealed_key'),
      }));
      return { items, next };
    });
  }

  jobState(kind: JobKind, bucketUid: Id): string | null {
    const row = this.#jobState.get(kind, bucketUid);
    return row === undefined ? null : text(row, 'state');
  }
}

function usesIn(rows: readonly Row[]): ReadonlyMap<number, KeyUses> {
  return new Map(
    rows.map((row) => [
      integer(row, 'n'),
      { versions: integer(row, 'versions'), uploads: integer(row, 'uploads') },
    ]),
  );
}
