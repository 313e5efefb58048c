/**
 * Key versions: their rows, how many sealed keys name each of them, and who may still name one.
 *
 * The counts stand outside of the MACed rows, because every commit changes one. They only ever decide when a version
 * retires, never whether a key opens anything; those by connection, whether a connection is told to be in use.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Id, type KeyVersionDocument, MetadataError } from '../metadata.ts';
import { integer } from './columns.ts';
import { type ControlRows, keyVersionTable, type StoredDocument, storedDocument } from './controlRows.ts';

export class KeyVersionWrites {
  readonly #control: ControlRows;
  readonly #select: StatementSync;
  readonly #numbers: StatementSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;
  readonly #countVersion: StatementSync;
  readonly #countUpload: StatementSync;
  readonly #uses: StatementSync;
  readonly #deleteUses: StatementSync;
  readonly #countUnder: StatementSync;

  constructor(db: DatabaseSync, control: ControlRows) {
    this.#control = control;
    this.#select = db.prepare('SELECT document, control_mac FROM key_version WHERE bucket_uid = ? AND n = ?');
    this.#numbers = db.prepare('SELECT n FROM key_version WHERE bucket_uid = ?');
    this.#upsert = db.prepare(
      'INSERT OR REPLACE INTO key_version (bucket_uid, n, document, control_mac) VALUES (?, ?, ?, ?)',
    );
    this.#delete = db.prepare('DELETE FROM key_version WHERE bucket_uid = ?');
    this.#countVersion = db.prepare(
      `INSERT INTO key_usage (bucket_uid, n, versions, uploads) VALUES (?1, ?2, ?3, 0)
       ON CONFLICT DO UPDATE SET versions = versions + ?3`,
    );
    this.#countUpload = db.prepare(
      `INSERT INTO key_usage (bucket_uid, n, versions, uploads) VALUES (?1, ?2, 0, ?3)
       ON CONFLICT DO UPDATE SET uploads = uploads + ?3`,
    );
    this.#uses = db.prepare('SELECT versions, uploads FROM key_usage WHERE bucket_uid = ? AND n = ?');
    this.#countUnder = db.prepare(
      `INSERT INTO connection_usage (kms_connection, state, versions) VALUES (?1, ?2, ?3)
       ON CONFLICT DO UPDATE SET versions = versions + ?3`,
    );
    this.#deleteUses = db.prepare('DELETE FROM key_usage WHERE bucket_uid = ?');
  }

  put(keyVersion: KeyVersionDocument): void {
    const { bucketUid, n, revision } = keyVersion;
    const found = this.#load(bucketUid, n);
    if ((found?.keyVersion.revision ?? -1) !== revision - 1)
      throw new MetadataError('Conflict', 'the key version was changed meanwhile');
    this.#store(keyVersion, found);
  }

  /** What a new seal may name: 'KeyRetired' for a version that nothing may name any more, 'Integrity' for one that never could. */
  requireUsable(bucketUid: Id, n: number): void {
    const state = this.#load(bucketUid, n)?.keyVersion.state;
    if (state === 'Current' || state === 'Readable') return;
    if (state === undefined || state === 'Creating')
      throw new MetadataError('Integrity', `bucket ${bucketUid} has no usable key version ${n}`);
    throw new MetadataError('KeyRetired', `key version ${n} of the bucket is retired`);
  }

  /** What a re-seal may name. */
  requireCurrent(bucketUid: Id, n: number): void {
    if (this.#load(bucketUid, n)?.keyVersion.state !== 'Current')
      throw new MetadataError('Conflict', `key version ${n} of the bucket is not the current one`);
  }

  /** A version that was sealed under `from` is now sealed under `to`; null = it is plain, or there is none. */
  moveVersion(bucketUid: Id, from: number | null, to: number | null): void {
    if (from === to) return;
    if (from !== null) this.#countVersion.run(bucketUid, from, -1);
    if (to !== null) this.#countVersion.run(bucketUid, to, 1);
  }

  /** The same for an open upload. */
  moveUpload(bucketUid: Id, from: number | null, to: number | null): void {
    if (from === to) return;
    if (from !== null) this.#countUpload.run(bucketUid, from, -1);
    if (to !== null) this.#countUpload.run(bucketUid, to, 1);
  }

  retire(bucketUid: Id, n: number): boolean {
    const found = this.#load(bucketUid, n);
    const state = found?.keyVersion.state ?? 'Creating';
    if (found === null || state === 'Creating' || state === 'Current')
      throw new MetadataError('Conflict', `key version ${n} of the bucket is in state ${state}`);
    if (state !== 'Readable') return true;
    const uses = this.#uses.get(bucketUid, n);
    if (uses !== undefined && (integer(uses, 'versions') !== 0 || integer(uses, 'uploads') !== 0))
      return false;
    this.#setRetiring(found);
    return true;
  }

  /** The bucket goes, and with it whatever named its keys. */
  retireAll(bucketUid: Id): void {
    for (const row of this.#numbers.all(bucketUid)) {
      const found = this.#load(bucketUid, integer(row, 'n'));
      const state = found?.keyVersion.state;
      if (found !== null && (state === 'Current' || state === 'Readable')) this.#setRetiring(found);
    }
    this.#deleteUses.run(bucketUid);
  }

  /** Forgets the versions of a bucket for which no key was ever made. */
  forget(bucketUid: Id): void {
    for (const row of this.#numbers.all(bucketUid)) {
      const found = this.#load(bucketUid, integer(row, 'n'));
      if (found !== null) this.#count(found.keyVersion, -1);
    }
    this.#delete.run(bucketUid);
    this.#deleteUses.run(bucketUid);
  }

  #setRetiring(before: LoadedKeyVersion): void {
    const { keyVersion } = before;
    this.#store({ ...keyVersion, revision: keyVersion.revision + 1, state: 'Retiring' }, before);
  }

  #count({ kmsConnection, state }: KeyVersionDocument, change: 1 | -1): void {
    this.#countUnder.run(kmsConnection, state, change);
  }

  #load(bucketUid: Id, n: number): LoadedKeyVersion | null {
    const row = this.#select.get(bucketUid, n);
    if (row === undefined) return null;
    const stored = storedDocument(row);
    return { keyVersion: this.#control.open(keyVersionTable, [bucketUid, n], stored), stored };
  }

  #store(keyVersion: KeyVersionDocument, before: LoadedKeyVersion | null): void {
    const stored = before?.stored ?? null;
    const { document, controlMac } = this.#control.seal(keyVersionTable, keyVersion, stored);
    if (before !== null) this.#count(before.keyVersion, -1);
    this.#count(keyVersion, 1);
    this.#upsert.run(keyVersion.bucketUid, keyVersion.n, document, controlMac);
  }
}

interface LoadedKeyVersion {
  readonly keyVersion: KeyVersionDocument;
  readonly stored: StoredDocument;
}
