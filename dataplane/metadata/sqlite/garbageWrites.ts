/** What the collector writes: claims, and forgetting what it deleted. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type BlobLocation, type GarbageItem, type GarbageRef, type Id, MetadataError } from '../metadata.ts';
import { integer, optionalInteger, optionalText, text } from './columns.ts';
import { decodeParts } from './partPageColumns.ts';

export class GarbageWrites {
  readonly #claim: StatementSync;
  readonly #delete: StatementSync;
  readonly #selectBody: StatementSync;
  readonly #selectPages: StatementSync;
  readonly #selectBlob: StatementSync;
  readonly #deleteBody: StatementSync;
  readonly #deletePages: StatementSync;
  readonly #deleteBlob: StatementSync;
  readonly #deleteCrcs: StatementSync;
  readonly #forgetCompleted: StatementSync;

  constructor(db: DatabaseSync) {
    this.#claim = db.prepare('UPDATE garbage SET claimed = 1 WHERE kind = ? AND id = ? RETURNING body_no');
    this.#delete = db.prepare('DELETE FROM garbage WHERE kind = ? AND id = ? RETURNING body_no');
    this.#selectBody = db.prepare('SELECT refs, blob_id FROM body WHERE body_no = ? AND body_id = ?');
    this.#selectPages = db.prepare('SELECT parts FROM body_parts WHERE body_id = ? ORDER BY page');
    this.#selectBlob = db.prepare('SELECT incarnation FROM blob WHERE blob_id = ?');
    this.#deleteBody = db.prepare('DELETE FROM body WHERE body_no = ? AND body_id = ? AND refs = 0');
    this.#deletePages = db.prepare('DELETE FROM body_parts WHERE body_id = ?');
    this.#deleteBlob = db.prepare('DELETE FROM blob WHERE blob_id = ?');
    this.#deleteCrcs = db.prepare('DELETE FROM blob_crc WHERE blob_id = ?');
    this.#forgetCompleted = db.prepare('DELETE FROM completed_upload WHERE completed_ms < ?');
  }

  claimGarbage(items: readonly GarbageRef[]): readonly GarbageItem[] {
    const claimed: GarbageItem[] = [];
    for (const item of items) {
      const row = this.#claim.get(item.kind, item.id);
      if (row === undefined) continue;
      const blobIds =
        item.kind === 'blob' ? [item.id] : this.#blobsOf(item.id, optionalInteger(row, 'body_no'));
      const blobs = blobIds.flatMap((blobId) => this.#locate(blobId));
      claimed.push({ kind: item.kind, id: item.id, sinceMs: item.sinceMs, blobs });
    }
    return claimed;
  }

  finishGarbage(items: readonly GarbageItem[]): void {
    for (const item of items) {
      for (const { blobId } of item.blobs) {
        this.#deleteCrcs.run(blobId);
        this.#deleteBlob.run(blobId);
      }
      const row = this.#delete.get(item.kind, item.id);
      if (row === undefined || item.kind !== 'body') continue;
      this.#deletePages.run(item.id);
      this.#deleteBody.run(optionalInteger(row, 'body_no'), item.id);
    }
  }

  forgetCompletedUploads(beforeMs: number): void {
    this.#forgetCompleted.run(beforeMs);
  }

  #blobsOf(bodyId: Id, bodyNo: number | null): Id[] {
    const row = this.#selectBody.get(bodyNo, bodyId);
    if (row === undefined) return [];
    // Never delete what a version still names, whatever the garbage table says.
    if (integer(row, 'refs') !== 0)
      throw new MetadataError('Integrity', 'garbage names a body that is referenced');
    const blobId = optionalText(row, 'blob_id');
    if (blobId !== null) return [blobId];
    return this.#selectPages
      .all(bodyId)
      .flatMap((page) => decodeParts(text(page, 'parts')).map((part) => part.location.blobId));
  }

  #locate(blobId: Id): BlobLocation[] {
    const row = this.#selectBlob.get(blobId);
    return row === undefined ? [] : [{ incarnation: text(row, 'incarnation'), blobId }];
  }
}
