/** Reading access keys; rows only after their MAC was verified. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type AccessKeyDocument,
  type AccessKeyEntry,
  type AccessKeyQuery,
  MetadataError,
} from '../metadata.ts';
import { type Row, text } from './columns.ts';
import { asMetadataError } from './connection.ts';
import { accessKeyTable, type ControlRows, storedDocument } from './controlRows.ts';

export class AccessKeyReads {
  readonly #control: ControlRows;
  readonly #byId: StatementSync;
  readonly #all: StatementSync;
  readonly #ofOwner: StatementSync;

  constructor(db: DatabaseSync, control: ControlRows) {
    this.#control = control;
    this.#byId = db.prepare('SELECT document, control_mac FROM access_key WHERE access_key_id = ?');
    const columns = 'access_key_id, owner, document, control_mac';
    this.#all = db.prepare(
      `SELECT ${columns} FROM access_key WHERE access_key_id > ? ORDER BY access_key_id LIMIT ?`,
    );
    this.#ofOwner = db.prepare(
      `SELECT ${columns} FROM access_key WHERE owner = ? AND access_key_id > ? ORDER BY access_key_id LIMIT ?`,
    );
  }

  /** MetadataError 'Integrity', or what the engine said. */
  byId(accessKeyId: string): AccessKeyDocument | null {
    try {
      const row = this.#byId.get(accessKeyId);
      return row === undefined
        ? null
        : this.#control.open(accessKeyTable, [accessKeyId], storedDocument(row));
    } catch (error) {
      throw asMetadataError(error);
    }
  }

  page({ owner, after, limit }: AccessKeyQuery): AccessKeyEntry[] {
    const rows = owner === null ? this.#all.all(after, limit) : this.#ofOwner.all(owner, after, limit);
    return rows.map((row) => this.#entry(row));
  }

  #entry(row: Row): AccessKeyEntry {
    const accessKeyId = text(row, 'access_key_id');
    try {
      const accessKey = this.#control.open(accessKeyTable, [accessKeyId], storedDocument(row));
      if (accessKey.owner !== text(row, 'owner'))
        throw new MetadataError('Integrity', 'an access_key row stands under another owner');
      return { accessKeyId, accessKey };
    } catch (error) {
      return { accessKeyId, accessKey: asMetadataError(error) };
    }
  }
}
