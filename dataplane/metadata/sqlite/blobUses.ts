/** Who names a blob: for `inspect`, which explains a file that somebody found. Scans whole tables. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { BlobLocation, Id } from '../metadata.ts';
import { bytes, integer, optionalInteger, type Row, text } from './columns.ts';
import { decodeParts } from './partPageColumns.ts';

/** A version that a blob holds bytes of. */
export interface BlobUser {
  readonly bucketUid: Id;
  readonly key: Uint8Array;
  readonly versionId: Id;
}

export interface BlobUse {
  readonly location: BlobLocation;
  readonly storedBytes: number;
  /** The body that it is, or is a part of; `partNumber` is null for a body of one blob. */
  readonly body: { readonly bodyId: Id; readonly partNumber: number | null } | null;
  /** Empty while no version references the body. */
  readonly versions: readonly BlobUser[];
  /** The open upload that it is a part of. */
  readonly upload: { readonly uploadId: Id; readonly partNumber: number } | null;
  /** Since when it, or its body, has been waiting for the collector. */
  readonly garbageSinceMs: number | null;
}

export class BlobUses {
  readonly #blob: StatementSync;
  readonly #body: StatementSync;
  readonly #pages: StatementSync;
  readonly #versions: StatementSync;
  readonly #upload: StatementSync;
  readonly #garbage: StatementSync;

  constructor(db: DatabaseSync) {
    this.#blob = db.prepare('SELECT incarnation, stored_bytes FROM blob WHERE blob_id = ?');
    this.#body = db.prepare('SELECT body_id FROM body WHERE blob_id = ?');
    this.#pages = db.prepare('SELECT body_id, parts FROM body_parts WHERE instr(parts, ?) > 0');
    this.#versions = db.prepare('SELECT bucket_uid, key, version_id FROM object_version WHERE body_id = ?');
    this.#upload = db.prepare('SELECT upload_id, part_number FROM upload_part WHERE blob_id = ?');
    this.#garbage = db.prepare('SELECT min(since_ms) AS since_ms FROM garbage WHERE id IN (?, ?)');
  }

  find(blobId: Id): BlobUse | null {
    const row = this.#blob.get(blobId);
    if (row === undefined) return null;
    const body = this.#bodyOf(blobId);
    const part = this.#upload.get(blobId);
    return {
      location: { incarnation: text(row, 'incarnation'), blobId },
      storedBytes: integer(row, 'stored_bytes'),
      body,
      versions: body === null ? [] : this.#versions.all(body.bodyId).map(userOf),
      upload:
        part === undefined
          ? null
          : { uploadId: text(part, 'upload_id'), partNumber: integer(part, 'part_number') },
      garbageSinceMs: optionalInteger(this.#garbage.get(blobId, body?.bodyId ?? blobId) ?? {}, 'since_ms'),
    };
  }

  #bodyOf(blobId: Id): BlobUse['body'] {
    const row = this.#body.get(blobId);
    if (row !== undefined) return { bodyId: text(row, 'body_id'), partNumber: null };
    for (const page of this.#pages.all(blobId)) {
      const part = decodeParts(text(page, 'parts')).find(({ location }) => location.blobId === blobId);
      if (part !== undefined) return { bodyId: text(page, 'body_id'), partNumber: part.partNumber };
    }
    return null;
  }
}

function userOf(row: Row): BlobUser {
  return { bucketUid: text(row, 'bucket_uid'), key: bytes(row, 'key'), versionId: text(row, 'version_id') };
}
