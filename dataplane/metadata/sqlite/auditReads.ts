/**
 * What `inspect` and `verify` read beyond what requests read: whole tables, row by row, each with what is wrong with it.
 *
 * Nothing here trusts one table for what another one says; comparing them is the caller's work. Rows that belong
 * together are read in one snapshot, because the data plane may be writing.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BlobLocation,
  type BucketEntry,
  type Id,
  type KeyVersionEntry,
  type KeyVersionPosition,
  type ListedObject,
  MetadataError,
  type UploadRow,
  type Usage,
} from '../metadata.ts';
import { bytes, integer, optionalBytes, optionalInteger, type Row, text } from './columns.ts';
import { asMetadataError } from './connection.ts';
import {
  bucketTable,
  type ControlRows,
  keyVersionTable,
  storedDocument,
  uploadRow,
  uploadTable,
} from './controlRows.ts';

export interface UploadEntry {
  readonly uploadId: Id;
  readonly key: Uint8Array;
  readonly upload: UploadRow | MetadataError;
}

/** The row of a key in listings. */
export interface ListedEntry extends ListedObject {
  readonly seq: number;
}

/** What a bucket is said to hold, and what its rows add up to, at one instant. `stored` null = no row says it. */
export interface UsageEntry {
  readonly stored: Usage | null;
  readonly counted: Usage;
}

export interface StoredBlob {
  readonly location: BlobLocation;
  readonly storedBytes: number;
}

/** A body whose count of references is not the number of versions that name it. */
export interface MiscountedBody {
  readonly bodyId: Id;
  readonly refs: number;
  readonly versions: number;
}

const bucketColumns = 'name, bucket_uid, owner_id, document, control_mac';

export class AuditReads {
  readonly #control: ControlRows;
  readonly #buckets: StatementSync;
  readonly #bucket: StatementSync;
  readonly #bucketUids: StatementSync;
  readonly #keyVersions: StatementSync;
  readonly #everyKeyVersion: StatementSync;
  readonly #uploads: StatementSync;
  readonly #listed: StatementSync;
  readonly #newest: StatementSync;
  readonly #stray: StatementSync;
  readonly #usage: StatementSync;
  readonly #blob: StatementSync;
  readonly #partsWithoutBlob: StatementSync;
  readonly #references: StatementSync;
  readonly #miscounted: StatementSync;
  readonly #bodyBySalt: StatementSync;
  readonly #partBySalt: StatementSync;

  constructor(db: DatabaseSync, control: ControlRows) {
    this.#control = control;
    this.#buckets = db.prepare(`SELECT ${bucketColumns} FROM bucket WHERE name > ? ORDER BY name LIMIT ?`);
    this.#bucket = db.prepare(`SELECT ${bucketColumns} FROM bucket WHERE name = ?`);
    // One seek for each bucket: every row stands under its bucket's uid.
    this.#bucketUids = db.prepare(
      `WITH RECURSIVE uids (uid) AS (
         SELECT min(bucket_uid) FROM object_version
         UNION ALL SELECT (SELECT min(bucket_uid) FROM object_version WHERE bucket_uid > uid) FROM uids WHERE uid IS NOT NULL
       ) SELECT uid FROM uids WHERE uid IS NOT NULL AND uid NOT IN (SELECT bucket_uid FROM bucket)`,
    );
    this.#keyVersions = db.prepare(
      'SELECT n, document, control_mac FROM key_version WHERE bucket_uid = ? ORDER BY n',
    );
    this.#everyKeyVersion = db.prepare(
      `SELECT bucket_uid, n, document, control_mac FROM key_version WHERE (bucket_uid, n) > (?, ?)
       ORDER BY bucket_uid, n LIMIT ?`,
    );
    this.#uploads = db.prepare(
      `SELECT upload_id, key, document, control_mac, n, wrap_salt, sealed_key, revision FROM upload
       WHERE bucket_uid = ? AND (key, upload_id) > (?, ?) ORDER BY key, upload_id LIMIT ?`,
    );
    this.#listed = db.prepare(
      `SELECT key, seq, version_id, size, last_modified_ms, etag, etag_parts, n, wrap_salt FROM object_current
       WHERE bucket_uid = ? AND key = ?`,
    );
    this.#newest = db.prepare('SELECT max(seq) AS seq FROM object_version WHERE bucket_uid = ? AND key = ?');
    this.#stray = db.prepare(
      `SELECT key FROM object_current AS current WHERE bucket_uid = ? AND key > ? AND NOT EXISTS (
         SELECT 1 FROM object_version AS version WHERE version.bucket_uid = current.bucket_uid
           AND version.key = current.key AND version.seq = current.seq)
       ORDER BY key LIMIT ?`,
    );
    this.#usage = db.prepare(
      `SELECT count(*) AS counted_objects, coalesce(sum(size), 0) AS counted_bytes,
         (SELECT objects FROM bucket_usage WHERE bucket_uid = ?1) AS objects,
         (SELECT bytes FROM bucket_usage WHERE bucket_uid = ?1) AS bytes
       FROM object_version WHERE bucket_uid = ?1`,
    );
    this.#blob = db.prepare('SELECT incarnation, stored_bytes FROM blob WHERE blob_id = ?');
    this.#partsWithoutBlob = db.prepare(
      `SELECT part_number FROM upload_part WHERE upload_id = ? AND part_number > ?
         AND blob_id NOT IN (SELECT blob_id FROM blob) ORDER BY part_number LIMIT ?`,
    );
    this.#references = db.prepare(
      'SELECT (SELECT coalesce(sum(refs), 0) FROM body) AS refs, (SELECT count(*) FROM object_version) AS versions',
    );
    this.#miscounted = db.prepare(
      `WITH named AS (SELECT body_no, count(*) AS versions FROM object_version GROUP BY body_no)
       SELECT body_id, refs, coalesce(versions, 0) AS versions FROM body LEFT JOIN named USING (body_no)
       WHERE refs <> coalesce(versions, 0) ORDER BY body_no LIMIT ?`,
    );
    this.#bodyBySalt = db.prepare('SELECT blob_id FROM body WHERE salt = ?');
    this.#partBySalt = db.prepare('SELECT blob_id FROM upload_part WHERE salt = ?');
  }

  /** Buckets of every owner by name. */
  buckets(after: string, limit: number): BucketEntry[] {
    return this.#buckets.all(after, limit).map((row) => this.#bucketEntry(row));
  }

  bucket(name: string): BucketEntry | null {
    const row = this.#bucket.get(name);
    return row === undefined ? null : this.#bucketEntry(row);
  }

  /** Uids that object rows stand under although no bucket has them. */
  bucketlessUids(): Id[] {
    return this.#bucketUids.all().map((row) => text(row, 'uid'));
  }

  keyVersions(bucketUid: Id): KeyVersionEntry[] {
    return this.#keyVersions.all(bucketUid).map((row) => this.#keyVersionEntry(bucketUid, row));
  }

  /** Of all buckets, also of deleted ones. */
  everyKeyVersion(after: KeyVersionPosition | null, limit: number): KeyVersionEntry[] {
    const rows = this.#everyKeyVersion.all(after?.bucketUid ?? '', after?.n ?? 0, limit);
    return rows.map((row) => this.#keyVersionEntry(text(row, 'bucket_uid'), row));
  }

  uploads(bucketUid: Id, after: Pick<UploadEntry, 'key' | 'uploadId'> | null, limit: number): UploadEntry[] {
    const rows = this.#uploads.all(bucketUid, after?.key ?? new Uint8Array(0), after?.uploadId ?? '', limit);
    return rows.map((row) => {
      const uploadId = text(row, 'upload_id');
      const key = bytes(row, 'key');
      return { uploadId, key, upload: orError(() => this.#upload(row, uploadId, bucketUid, key)) };
    });
  }

  /** What listings say about a key, and the seq of its newest version; null where there is no such row. */
  listed(bucketUid: Id, key: Uint8Array): { listed: ListedEntry | null; newestSeq: number | null } {
    const row = this.#listed.get(bucketUid, key);
    const newestSeq = optionalInteger(this.#newest.get(bucketUid, key) ?? { seq: null }, 'seq');
    if (row === undefined) return { listed: null, newestSeq };
    return {
      newestSeq,
      listed: {
        key,
        seq: integer(row, 'seq'),
        versionId: text(row, 'version_id'),
        size: integer(row, 'size'),
        lastModifiedMs: integer(row, 'last_modified_ms'),
        etag: bytes(row, 'etag'),
        etagParts: integer(row, 'etag_parts'),
        n: optionalInteger(row, 'n'),
        wrapSalt: optionalBytes(row, 'wrap_salt'),
      },
    };
  }

  /** Keys that listings show although the version they name is not there. */
  strayKeys(bucketUid: Id, after: Uint8Array, limit: number): Uint8Array[] {
    return this.#stray.all(bucketUid, after, limit).map((row) => bytes(row, 'key'));
  }

  usage(bucketUid: Id): UsageEntry {
    const row = this.#usage.get(bucketUid) ?? {};
    const counted = { objects: integer(row, 'counted_objects'), bytes: integer(row, 'counted_bytes') };
    const objects = optionalInteger(row, 'objects');
    const stored = objects === null ? null : { objects, bytes: integer(row, 'bytes') };
    return { stored, counted };
  }

  blob(blobId: Id): StoredBlob | null {
    const row = this.#blob.get(blobId);
    if (row === undefined) return null;
    return {
      location: { incarnation: text(row, 'incarnation'), blobId },
      storedBytes: integer(row, 'stored_bytes'),
    };
  }

  /** Parts of an open upload that name a blob without a row. */
  partsWithoutBlob(uploadId: Id, afterPartNumber: number, limit: number): number[] {
    return this.#partsWithoutBlob
      .all(uploadId, afterPartNumber, limit)
      .map((row) => integer(row, 'part_number'));
  }

  /** Bodies that would be deleted too early, or never. Names them only when the sums differ: it needs memory for that. */
  miscountedBodies(limit: number): MiscountedBody[] {
    const sums = this.#references.get() ?? {};
    if (integer(sums, 'refs') === integer(sums, 'versions')) return [];
    return this.#miscounted.all(limit).map((row) => ({
      bodyId: text(row, 'body_id'),
      refs: integer(row, 'refs'),
      versions: integer(row, 'versions'),
    }));
  }

  /** The blob of a body or of an open upload's part with this salt; finished parts are found by their names only. */
  blobIdOfSalt(salt: Uint8Array): Id | null {
    const row = this.#bodyBySalt.get(salt) ?? this.#partBySalt.get(salt);
    return row === undefined || row['blob_id'] === null ? null : text(row, 'blob_id');
  }

  #keyVersionEntry(bucketUid: Id, row: Row): KeyVersionEntry {
    const n = integer(row, 'n');
    const keyVersion = orError(() =>
      this.#control.open(keyVersionTable, [bucketUid, n], storedDocument(row)),
    );
    return { bucketUid, n, keyVersion };
  }

  #bucketEntry(row: Row): BucketEntry {
    const name = text(row, 'name');
    const bucketUid = text(row, 'bucket_uid');
    const bucket = orError(() => {
      const document = this.#control.open(bucketTable, [name, bucketUid], storedDocument(row));
      if (document.ownerId !== text(row, 'owner_id'))
        throw new MetadataError('Integrity', 'a bucket row stands under another owner');
      return document;
    });
    return { name, bucketUid, bucket };
  }

  #upload(row: Row, uploadId: Id, bucketUid: Id, key: Uint8Array): UploadRow {
    const upload = uploadRow(this.#control.open(uploadTable, [uploadId], storedDocument(row)), {
      n: optionalInteger(row, 'n'),
      wrapSalt: optionalBytes(row, 'wrap_salt'),
      sealedKey: optionalBytes(row, 'sealed_key'),
      revision: integer(row, 'revision'),
    });
    if (upload.bucketUid !== bucketUid || Buffer.compare(upload.key, key) !== 0)
      throw new MetadataError('Integrity', 'an upload row stands under another key');
    return upload;
  }
}

function orError<T>(read: () => T): T | MetadataError {
  try {
    return read();
  } catch (error) {
    return asMetadataError(error);
  }
}
