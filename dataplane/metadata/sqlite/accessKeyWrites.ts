/** Access keys: declared, changed, revoked, and parted from a bucket that leaves their owner. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type AccessKeyDocument, MetadataError } from '../metadata.ts';
import { text } from './columns.ts';
import { accessKeyTable, type ControlRows, type StoredDocument, storedDocument } from './controlRows.ts';

export class AccessKeyWrites {
  readonly #control: ControlRows;
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;
  readonly #ofOwner: StatementSync;

  constructor(db: DatabaseSync, control: ControlRows) {
    this.#control = control;
    this.#select = db.prepare('SELECT document, control_mac FROM access_key WHERE access_key_id = ?');
    this.#upsert = db.prepare(
      'INSERT OR REPLACE INTO access_key (access_key_id, owner, document, control_mac) VALUES (?, ?, ?, ?)',
    );
    this.#delete = db.prepare('DELETE FROM access_key WHERE access_key_id = ?');
    this.#ofOwner = db.prepare('SELECT access_key_id FROM access_key WHERE owner = ?');
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

  /** A bucket leaves this owner, whose keys lose their grants on its name; a key without any other goes. */
  endGrants(owner: string, bucketName: string): void {
    for (const row of this.#ofOwner.all(owner)) {
      const accessKey = this.#authentic(text(row, 'access_key_id'));
      if (accessKey === null || accessKey.owner !== owner) continue;
      const { accessKeyId, revision } = accessKey;
      const grants = accessKey.grants.filter(({ bucket }) => bucket !== bucketName);
      if (grants.length === accessKey.grants.length) continue;
      if (grants.length === 0) this.#delete.run(accessKeyId);
      else this.put({ ...accessKey, revision: revision + 1, grants });
    }
  }

  /** null for a row that was edited: no request is served with it, and it keeps nobody from a bucket. */
  #authentic(accessKeyId: string): AccessKeyDocument | null {
    const stored = this.#stored(accessKeyId);
    try {
      return stored === null ? null : this.#control.open(accessKeyTable, [accessKeyId], stored);
    } catch (error) {
      if (error instanceof MetadataError && error.code === 'Integrity') return null;
      throw error;
    }
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
