/** Reading multipart uploads and their parts. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Id, UploadListQuery, UploadPage, UploadPart, UploadRow } from '../metadata.ts';
import { bytes, integer, optionalBytes, optionalInteger, type Row, text } from './columns.ts';
import { type ControlRows, storedDocument, uploadRow, uploadTable } from './controlRows.ts';
import { type Source, walkGroups } from './groupedListing.ts';
import { afterKey, afterPrefix, commonPrefix } from './keyRanges.ts';
import { snapshot } from './objectReads.ts';

const uploadColumns = 'upload_id, bucket_uid, key, document, control_mac, n, wrap_salt, sealed_key, revision';

/** Behind this upload of this key; '' = before all uploads of the key. */
interface UploadPosition {
  readonly key: Uint8Array;
  readonly uploadId: string;
}

export class UploadReads {
  readonly #db: DatabaseSync;
  readonly #control: ControlRows;
  readonly #select: StatementSync;
  readonly #list: StatementSync;
  readonly #listUntil: StatementSync;
  readonly #parts: StatementSync;
  readonly #completed: StatementSync;

  constructor(db: DatabaseSync, control: ControlRows) {
    this.#db = db;
    this.#control = control;
    this.#select = db.prepare(`SELECT ${uploadColumns} FROM upload WHERE upload_id = ?`);
    this.#list = db.prepare(
      `SELECT ${uploadColumns} FROM upload WHERE bucket_uid = ? AND (key, upload_id) > (?, ?)
       ORDER BY key, upload_id LIMIT ?`,
    );
    this.#listUntil = db.prepare(
      `SELECT ${uploadColumns} FROM upload WHERE bucket_uid = ? AND (key, upload_id) > (?, ?) AND key < ?
       ORDER BY key, upload_id LIMIT ?`,
    );
    this.#parts = db.prepare(
      `SELECT part_number, size, upload_part.blob_id, salt, digest_salt, digests, part_mac, last_modified_ms, incarnation,
         stored_bytes FROM upload_part JOIN blob ON blob.blob_id = upload_part.blob_id
       WHERE upload_id = ? AND part_number > ? ORDER BY part_number LIMIT ?`,
    );
    this.#completed = db.prepare(
      'SELECT version_id FROM completed_upload WHERE upload_id = ? AND bucket_uid = ? AND key = ?',
    );
  }

  upload(bucketUid: Id, key: Uint8Array, uploadId: Id): UploadRow | null {
    const row = this.#select.get(uploadId);
    if (row === undefined) return null;
    const upload = this.#upload(row);
    return upload.bucketUid === bucketUid && Buffer.compare(upload.key, key) === 0 ? upload : null;
  }

  completed(bucketUid: Id, key: Uint8Array, uploadId: Id): Id | null {
    const row = this.#completed.get(uploadId, bucketUid, key);
    return row === undefined ? null : text(row, 'version_id');
  }

  parts(uploadId: Id, afterPartNumber: number, limit: number): UploadPart[] {
    return this.#parts.all(uploadId, afterPartNumber, limit).map((row) => ({
      partNumber: integer(row, 'part_number'),
      size: integer(row, 'size'),
      location: { incarnation: text(row, 'incarnation'), blobId: text(row, 'blob_id') },
      storedBytes: integer(row, 'stored_bytes'),
      salt: optionalBytes(row, 'salt'),
      digestSalt: optionalBytes(row, 'digest_salt'),
      digests: bytes(row, 'digests'),
      partMac: optionalBytes(row, 'part_mac'),
      lastModifiedMs: integer(row, 'last_modified_ms'),
    }));
  }

  list(query: UploadListQuery): UploadPage {
    const { bucketUid, prefix, delimiter } = query;
    const source: Source<UploadRow, UploadPosition> = {
      fetch: ({ key, uploadId }, end, limit) => {
        const rows =
          end === null
            ? this.#list.all(bucketUid, key, uploadId, limit)
            : this.#listUntil.all(bucketUid, key, uploadId, end, limit);
        return rows.map((row) => this.#upload(row));
      },
      keyOf: (upload) => upload.key,
      after: (upload) => upload,
      at: (key) => ({ key, uploadId: '' }),
    };
    const start = startOf(query);
    if (start === null) return { uploads: [], commonPrefixes: [], next: null };
    const from = Buffer.compare(start.key, prefix) < 0 ? source.at(prefix) : start;
    const page = snapshot(this.#db, () =>
      walkGroups(source, { prefix, delimiter, limit: query.limit }, from),
    );
    const last = page.entries.at(-1);
    return {
      uploads: page.entries.flatMap((entry) => (entry.kind === 'row' ? [entry.row] : [])),
      commonPrefixes: page.entries.flatMap((entry) => (entry.kind === 'group' ? [entry.commonPrefix] : [])),
      next:
        !page.more || last === undefined
          ? null
          : last.kind === 'row'
            ? { key: last.row.key, uploadId: last.row.uploadId }
            : { key: last.commonPrefix, uploadId: null },
    };
  }

  #upload(row: Row): UploadRow {
    const document = this.#control.open(uploadTable, [text(row, 'upload_id')], storedDocument(row));
    return uploadRow(document, {
      n: optionalInteger(row, 'n'),
      wrapSalt: optionalBytes(row, 'wrap_salt'),
      sealedKey: optionalBytes(row, 'sealed_key'),
      revision: integer(row, 'revision'),
    });
  }
}

/** Where a listing begins; null when nothing can follow. */
function startOf({
  prefix,
  delimiter,
  afterKey: key,
  afterUploadId,
}: UploadListQuery): UploadPosition | null {
  const group = commonPrefix(key, prefix, delimiter);
  if (group !== null) {
    const next = afterPrefix(group);
    return next === null ? null : { key: next, uploadId: '' };
  }
  if (key.byteLength === 0) return { key, uploadId: '' };
  return afterUploadId === null ? { key: afterKey(key), uploadId: '' } : { key, uploadId: afterUploadId };
}
