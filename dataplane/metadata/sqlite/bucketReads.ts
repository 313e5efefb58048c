/** Reading buckets, key versions and usage; control rows only after their MAC was verified. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BucketDocument,
  type ConnectionUse,
  type Id,
  type KeyVersionDocument,
  MetadataError,
  type Usage,
} from '../metadata.ts';
import { integer, type Row, text } from './columns.ts';
import { bucketTable, type ControlRows, keyVersionTable, storedDocument } from './controlRows.ts';

export interface BucketListQuery {
  readonly ownerId: string;
  readonly prefix: string;
  readonly after: string;
  readonly limit: number;
}

export class BucketReads {
  readonly #control: ControlRows;
  readonly #byName: StatementSync;
  readonly #byUid: StatementSync;
  readonly #ofOwner: StatementSync;
  readonly #keyVersion: StatementSync;
  readonly #keyVersions: StatementSync;
  readonly #usage: StatementSync;
  readonly #underConnection: StatementSync;

  constructor(db: DatabaseSync, control: ControlRows) {
    this.#control = control;
    const columns = 'name, bucket_uid, document, control_mac';
    this.#byName = db.prepare(`SELECT ${columns} FROM bucket WHERE name = ?`);
    this.#byUid = db.prepare(`SELECT ${columns} FROM bucket WHERE bucket_uid = ?`);
    this.#ofOwner = db.prepare(
      `SELECT ${columns} FROM bucket WHERE owner_id = ? AND name > ? AND name >= ? AND name < ? || char(0x10ffff)
       ORDER BY name LIMIT ?`,
    );
    this.#keyVersion = db.prepare(
      'SELECT document, control_mac FROM key_version WHERE bucket_uid = ? AND n = ?',
    );
    this.#keyVersions = db.prepare(
      'SELECT n, document, control_mac FROM key_version WHERE bucket_uid = ? ORDER BY n',
    );
    this.#underConnection = db.prepare(
      'SELECT state, versions FROM connection_usage WHERE kms_connection = ?',
    );
    this.#usage = db.prepare('SELECT objects, bytes FROM bucket_usage WHERE bucket_uid = ?');
  }

  byName(name: string): BucketDocument | null {
    const row = this.#byName.get(name);
    return row === undefined ? null : this.#bucket(row);
  }

  byUid(bucketUid: Id): BucketDocument | null {
    const row = this.#byUid.get(bucketUid);
    return row === undefined ? null : this.#bucket(row);
  }

  ofOwner({ ownerId, prefix, after, limit }: BucketListQuery): BucketDocument[] {
    const buckets = this.#ofOwner.all(ownerId, after, prefix, prefix, limit).map((row) => this.#bucket(row));
    if (buckets.some((bucket) => bucket.ownerId !== ownerId)) {
      throw new MetadataError('Integrity', 'a bucket row stands under another owner');
    }
    return buckets;
  }

  keyVersion(bucketUid: Id, n: number): KeyVersionDocument | null {
    const row = this.#keyVersion.get(bucketUid, n);
    return row === undefined
      ? null
      : this.#control.open(keyVersionTable, [bucketUid, n], storedDocument(row));
  }

  keyVersions(bucketUid: Id): KeyVersionDocument[] {
    return this.#keyVersions
      .all(bucketUid)
      .map((row) => this.#control.open(keyVersionTable, [bucketUid, integer(row, 'n')], storedDocument(row)));
  }

  usage(bucketUid: Id): Usage {
    const row = this.#usage.get(bucketUid);
    return row === undefined
      ? { objects: 0, bytes: 0 }
      : { objects: integer(row, 'objects'), bytes: integer(row, 'bytes') };
  }

  /** From counts that are kept. Every existing bucket with a key has one current version, and a deleted one has none. */
  connectionUse(connection: string): ConnectionUse {
    const versions = new Map(
      this.#underConnection.all(connection).map((row) => [text(row, 'state'), integer(row, 'versions')]),
    );
    const all = [...versions].filter(([state]) => state !== 'Destroyed');
    return {
      keyVersions: all.reduce((sum, [, count]) => sum + count, 0),
      buckets: versions.get('Current') ?? 0,
    };
  }

  #bucket(row: Row): BucketDocument {
    return this.#control.open(bucketTable, [text(row, 'name'), text(row, 'bucket_uid')], storedDocument(row));
  }
}
