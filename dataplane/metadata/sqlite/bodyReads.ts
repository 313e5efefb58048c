/** Reading what belongs to a body: its pages of parts, the CRCs of its blob. The body is pinned by the caller. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type BlobCrcs, type BlobLocation, type Id, MetadataError, type PartPage } from '../metadata.ts';
import { crcBytes, crcsPerRow } from './blobCrcRows.ts';
import { bytes, integer, text } from './columns.ts';
import { partPageOf } from './partPageColumns.ts';

export class BodyReads {
  readonly #pages: StatementSync;
  readonly #pageOfOffset: StatementSync;
  readonly #pageOfPart: StatementSync;
  readonly #crcs: StatementSync;
  readonly #blob: StatementSync;
  readonly #incarnations: StatementSync;

  constructor(db: DatabaseSync) {
    this.#pages = db.prepare(
      'SELECT page, parts, page_mac FROM body_parts WHERE body_id = ? AND page BETWEEN ? AND ? ORDER BY page',
    );
    this.#pageOfOffset = db.prepare(
      'SELECT page FROM body_parts WHERE body_id = ? AND first_offset <= ? AND end_offset > ? ORDER BY page LIMIT 1',
    );
    this.#pageOfPart = db.prepare(
      'SELECT page FROM body_parts WHERE body_id = ? AND first_part <= ? AND last_part >= ? ORDER BY page LIMIT 1',
    );
    this.#crcs = db.prepare('SELECT substr(crcs, ?, ?) AS crcs FROM blob_crc WHERE blob_id = ? AND n = ?');
    this.#blob = db.prepare('SELECT incarnation FROM blob WHERE blob_id = ?');
    this.#incarnations = db.prepare('SELECT incarnation FROM incarnation ORDER BY started_ms');
  }

  pages(bodyId: Id, firstPage: number, lastPage: number): PartPage[] {
    return this.#pages.all(bodyId, firstPage, lastPage).map(partPageOf);
  }

  findPage(bodyId: Id, at: { readonly offset: number } | { readonly partNumber: number }): number | null {
    const row =
      'offset' in at
        ? this.#pageOfOffset.get(bodyId, at.offset, at.offset)
        : this.#pageOfPart.get(bodyId, at.partNumber, at.partNumber);
    return row === undefined ? null : integer(row, 'page');
  }

  /** CRCs of blocks first..last; 'Integrity' when one is missing. */
  crcs(blobId: Id, firstBlock: number, lastBlock: number): BlobCrcs {
    const pieces: Uint8Array[] = [];
    for (let block = firstBlock; block <= lastBlock; ) {
      const n = Math.floor(block / crcsPerRow);
      const until = Math.min(lastBlock + 1, (n + 1) * crcsPerRow);
      const length = (until - block) * crcBytes;
      const row = this.#crcs.get((block % crcsPerRow) * crcBytes + 1, length, blobId, n);
      const piece = row === undefined ? new Uint8Array(0) : bytes(row, 'crcs');
      if (piece.byteLength !== length)
        throw new MetadataError('Integrity', 'a blob has fewer CRCs than blocks');
      pieces.push(piece);
      block = until;
    }
    return Buffer.concat(pieces);
  }

  incarnations(): Id[] {
    return this.#incarnations.all().map((row) => text(row, 'incarnation'));
  }

  known(locations: readonly BlobLocation[]): Set<Id> {
    const known = new Set<Id>();
    for (const { incarnation, blobId } of locations) {
      const row = this.#blob.get(blobId);
      if (row !== undefined && text(row, 'incarnation') === incarnation) known.add(blobId);
    }
    return known;
  }
}
