/** Which data keys are older than a key version: the age stands beside the body, as the data key belongs to it. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Id, KeyPosition, Metadata, OlderVersion, SealedPage } from '../metadata.ts';
import { bytes, integer, text } from './columns.ts';
import { snapshot } from './objectReads.ts';

type OlderVersionsQuery = Parameters<Metadata['olderVersions']>[0];

const nothing = new Uint8Array(0);

export class OlderReads {
  readonly #db: DatabaseSync;
  readonly #last: StatementSync;
  readonly #versions: StatementSync;
  readonly #count: StatementSync;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#last = db.prepare(
      `SELECT key, seq FROM (SELECT key, seq FROM object_version WHERE bucket_uid = ? AND (key, seq) > (?, ?)
         ORDER BY key, seq LIMIT ?) ORDER BY key DESC, seq DESC LIMIT 1`,
    );
    // A body whose row is lost has no age: it cannot be read, and counts as old.
    const older = `FROM object_version AS version
       LEFT JOIN body ON body.body_no = version.body_no AND body.body_id = version.body_id
       WHERE version.n IS NOT NULL AND coalesce(body.data_key_n, 0) < ?`;
    this.#versions = db.prepare(
      `SELECT version.key, version.seq, version.version_id, version.body_id ${older} AND version.bucket_uid = ?
         AND (version.key, version.seq) > (?, ?) AND (version.key, version.seq) <= (?, ?)
       ORDER BY version.key, version.seq`,
    );
    this.#count = db.prepare(
      `SELECT (SELECT count(*) ${older} AND version.bucket_uid = ?) AS versions,
         (SELECT count(*) FROM upload WHERE n IS NOT NULL AND data_key_n < ? AND bucket_uid = ?) AS uploads`,
    );
  }

  versions({ bucketUid, below, after, limit }: OlderVersionsQuery): SealedPage<OlderVersion, KeyPosition> {
    const from = after ?? { key: nothing, seq: -1 };
    return snapshot(this.#db, () => {
      const last = this.#last.get(bucketUid, from.key, from.seq, limit);
      if (last === undefined) return { items: [], next: null };
      const next = { key: bytes(last, 'key'), seq: integer(last, 'seq') };
      const rows = this.#versions.all(below, bucketUid, from.key, from.seq, next.key, next.seq);
      const items = rows.map((row) => ({
        key: bytes(row, 'key'),
        seq: integer(row, 'seq'),
        versionId: text(row, 'version_id'),
        bodyId: text(row, 'body_id'),
      }));
      return { items, next };
    });
  }

  count(bucketUid: Id, below: number): { readonly versions: number; readonly uploads: number } {
    const row = this.#count.get(below, bucketUid, below, bucketUid) ?? {};
    return { versions: integer(row, 'versions'), uploads: integer(row, 'uploads') };
  }
}
