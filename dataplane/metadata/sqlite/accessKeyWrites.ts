/** Access keys: declared, changed, revoked. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type AccessKeyDocument, MetadataError } from '../metadata.ts';
import { accessKeyTable, type ControlRows, type StoredDocument, storedDocument } from './controlRows.ts';

export class AccessKeyWrites {
  readonly #control: ControlRows;
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;

  constructor(db: DatabaseSync, control: ControlRows) {
    this.#control = control;
    this.#select = db.prepare('SELECT document, control_mac FROM access_key WHERE access_key_id = ?');
    this.#upsert = db.prepare(
      'INSERT OR REPLACE INTO access_key (access_key_id, owner, document, control_mac) VALUES (?, ?, ?, ?)',
    );
    this.#delete = db.prepare('DELETE FROM access_key WHERE access_key_id = ?');
  }

  put(accessKey: AccessKeyDocument): void {
    const { accessKeyId, owner, revision } = accessKey;
    const before = this.#stored(accessKeyId);
    this.#requireRevision(accessKeyId, before, revision - 1);
    const { document, controlMac } = this.#control.seal(accessKeyTable, accessKey, before);
    this.#upsert.run(accessKeyId, owner, document, controlMac);
  }

  delete(accessKeyId: string, revision: number | null): boolean {
    // Without a revision an edited row goes too: nobody could use it, and nothing else would remove it.
    if (revision !== null) {
      const before = this.#stored(accessKeyId);
      if (before === null) return false;
      this.#requireRevision(accessKeyId, before, revision);
    }
    return Number(this.#delete.run(accessKeyId).changes) > 0;
  }

  #stored(accessKeyId: string): StoredDocument | null {
    const row = this.#select.get(accessKeyId);
    return row === undefined ? null : storedDocument(row);
  }

  #requireRevision(accessKeyId: string, stored: StoredDocument | null, revision: number): void {
    const found = stored === null ? -1 : this.#control.open(accessKeyTable, [accessKeyId], stored).revision;
    if (found !== revision) throw new MetadataError('Conflict', 'the access key was changed meanwhile');
  }
}
