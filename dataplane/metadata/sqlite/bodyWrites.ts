/**
 * Bodies, their references and their garbage.
 *
 * A version references a body, a body its blobs. At refs 0 an inline body goes at once (its readers read within one
 * tick); every other body becomes a garbage row, and the collector deletes blobs only after it claimed that row.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BlobCrcs,
  type BlobLocation,
  type Id,
  MetadataError,
  type NewBody,
  type PartPage,
} from '../metadata.ts';
import { blobCrcBytesPerRow } from './blobCrcRows.ts';
import { integer, text } from './columns.ts';
import { encodeParts } from './partPageColumns.ts';

export class BodyWrites {
  readonly #insert: StatementSync;
  readonly #insertInline: StatementSync;
  readonly #insertBlob: StatementSync;
  readonly #insertCrcs: StatementSync;
  readonly #insertPage: StatementSync;
  readonly #addRef: StatementSync;
  readonly #dropRef: StatementSync;
  readonly #delete: StatementSync;
  readonly #deleteInline: StatementSync;
  readonly #discard: StatementSync;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(
      'INSERT INTO body (body_id, refs, kind, blob_id, salt, data_key_n) VALUES (?, 1, ?, ?, ?, ?)',
    );
    // A row under this number can only be left from a body whose own row was taken away.
    this.#insertInline = db.prepare('INSERT OR REPLACE INTO inline_body (body_no, stored) VALUES (?, ?)');
    this.#insertBlob = db.prepare('INSERT INTO blob (blob_id, incarnation, stored_bytes) VALUES (?, ?, ?)');
    this.#insertCrcs = db.prepare('INSERT INTO blob_crc (blob_id, n, crcs) VALUES (?, ?, ?)');
    this.#insertPage = db.prepare(
      `INSERT INTO body_parts (body_id, page, first_part, last_part, first_offset, end_offset, parts, page_mac)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    // A claimed body takes no new references.
    this.#addRef = db.prepare(
      `UPDATE body SET refs = refs + 1 WHERE body_no = ? AND body_id = ? AND refs > 0
       AND NOT EXISTS (SELECT 1 FROM garbage WHERE kind = 'body' AND id = body_id)`,
    );
    this.#dropRef = db.prepare(
      'UPDATE body SET refs = refs - 1 WHERE body_no = ? AND body_id = ? AND refs > 0 RETURNING refs, kind',
    );
    this.#delete = db.prepare('DELETE FROM body WHERE body_no = ?');
    this.#deleteInline = db.prepare('DELETE FROM inline_body WHERE body_no = ?');
    this.#discard = db.prepare(
      'INSERT OR IGNORE INTO garbage (kind, id, body_no, since_ms, claimed) VALUES (?, ?, ?, ?, 0)',
    );
  }

  /** A new body with one reference; its number. `dataKeyN`: the key version that its data key is sealed under; 0 = plain. */
  insertBody(bodyId: Id, body: Exclude<NewBody, { kind: 'shared' }>, dataKeyN: number): number {
    if (body.kind === 'blob') {
      this.insertBlob(body.location, body.storedBytes, body.crcs);
      return this.#insertRow(bodyId, 'blob', body.location.blobId, body.salt, dataKeyN);
    }
    const bodyNo = this.#insertRow(bodyId, 'inline', null, body.salt, dataKeyN);
    this.#insertInline.run(bodyNo, body.stored);
    return bodyNo;
  }

  /** A new body of parts with one reference; its number. Its blobs have their rows from the part commits. */
  insertPartBody(bodyId: Id, pages: readonly PartPage[], dataKeyN: number): number {
    for (const { page, parts, pageMac } of pages) {
      const first = parts[0];
      const last = parts.at(-1);
      if (first === undefined || last === undefined) continue;
      const end = last.offset + last.size;
      const { partNumber, offset } = first;
      this.#insertPage.run(
        bodyId,
        page,
        partNumber,
        last.partNumber,
        offset,
        end,
        encodeParts(parts),
        pageMac,
      );
    }
    return this.#insertRow(bodyId, 'parts', null, null, dataKeyN);
  }

  /** The blob's row, in the transaction of the row that first names it. */
  insertBlob(location: BlobLocation, storedBytes: number, crcs: BlobCrcs): void {
    this.#insertBlob.run(location.blobId, location.incarnation, storedBytes);
    for (let n = 0; n * blobCrcBytesPerRow < crcs.byteLength; n += 1) {
      const row = crcs.subarray(n * blobCrcBytesPerRow, (n + 1) * blobCrcBytesPerRow);
      this.#insertCrcs.run(location.blobId, n, row);
    }
  }

  /** One more reference; 'SourceChanged' when the body is gone or on its way out. */
  addReference(bodyNo: number, bodyId: Id): void {
    if (this.#addRef.run(bodyNo, bodyId).changes !== 1) {
      throw new MetadataError('SourceChanged', 'the source of the copy is gone');
    }
  }

  /** One reference less. A body whose row is missing has nothing to give up: its version must stay removable. */
  dropReference(bodyNo: number, bodyId: Id, nowMs: number): void {
    const row = this.#dropRef.get(bodyNo, bodyId);
    if (row === undefined || integer(row, 'refs') > 0) return;
    if (text(row, 'kind') !== 'inline') {
      this.#discard.run('body', bodyId, bodyNo, nowMs);
      return;
    }
    this.#deleteInline.run(bodyNo);
    this.#delete.run(bodyNo);
  }

  /** The blob of a part that nothing names any more. */
  discardBlob(blobId: Id, nowMs: number): void {
    this.#discard.run('blob', blobId, null, nowMs);
  }

  #insertRow(
    bodyId: Id,
    kind: 'inline' | 'blob' | 'parts',
    blobId: Id | null,
    salt: Uint8Array | null,
    dataKeyN: number,
  ): number {
    return Number(this.#insert.run(bodyId, kind, blobId, salt, dataKeyN).lastInsertRowid);
  }
}
