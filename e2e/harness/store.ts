/**
 * What a data plane has on its disk, read behind its back: rows of its SQLite file and the blobs they name.
 *
 * Read-only, and by the schema alone: nothing of the data plane's own code is used to look.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { storedRows } from './storedRows.ts';

/** Every row and every blob, each table as `rows, digest`; equal snapshots mean that nothing at all was changed. */
export type Snapshot = Readonly<Record<string, string>>;

/** One stored body, as its bytes are on disk. */
export interface StoredBytes {
  /** Whether its descriptor says so. */
  readonly encrypted: boolean;
  readonly bytes: Buffer;
}

export interface Store {
  snapshot(): Snapshot;
  /** null when there is no such bucket. */
  bucket(name: string): { readonly uid: string; readonly encrypted: boolean } | null;
  /** The current version of a key; null when there is none. */
  object(bucket: string, key: string): StoredBytes | null;
  upload(uploadId: string): { readonly encrypted: boolean } | null;
  /** The bytes of one part of an open upload; null when there is none. */
  part(uploadId: string, partNumber: number): Buffer | null;
  /** How many files under the data folder hold `text` as it is. */
  filesWith(text: string): number;
}

type Row = Readonly<Record<string, unknown>>;

export function openStore(dataFolder: string): Store {
  const query = (sql: string, ...values: (string | number | Uint8Array)[]) =>
    storedRows(dataFolder, sql, ...values);
  const files = (): string[] =>
    readdirSync(dataFolder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .toSorted();
  const blobFolder = join(dataFolder, 'blobs');
  const blob = (blobId: string): Buffer => {
    const [row] = query('SELECT incarnation FROM blob WHERE blob_id = ?', blobId);
    return readFileSync(join(blobFolder, text(row?.['incarnation']), blobId));
  };
  const bodyBytes = (row: Row): Buffer => {
    const kind = text(row['kind']);
    if (kind === 'inline') {
      const [inline] = query('SELECT stored FROM inline_body WHERE body_no = ?', Number(row['body_no']));
      return bytes(inline?.['stored']);
    }
    if (kind === 'blob') return blob(text(row['blob_id']));
    const pages = query('SELECT parts FROM body_parts WHERE body_id = ? ORDER BY page', text(row['body_id']));
    const names = pages.flatMap((page) => [
      ...text(page['parts']).matchAll(/"([0-9a-f]{32})","([0-9a-f]{32})"/g),
    ]);
    if (names.length === 0) throw new Error('the parts of a body name no blob');
    return Buffer.concat(
      names.map(([, incarnation = '', id = '']) => readFileSync(join(blobFolder, incarnation, id))),
    );
  };
  const bucket = (name: string): { uid: string; encrypted: boolean } | null => {
    const [row] = query('SELECT bucket_uid, document FROM bucket WHERE name = ?', name);
    if (row === undefined) return null;
    const document = JSON.parse(bytes(row['document']).toString('utf8')) as { encryption: string | null };
    return { uid: text(row['bucket_uid']), encrypted: document.encryption === 'AES256' };
  };

  return {
    snapshot: () => {
      const snapshot: Record<string, string> = {};
      for (const { name } of query("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")) {
        const rows = query(`SELECT * FROM ${text(name)}`);
        const hash = createHash('sha256');
        for (const value of rows.flatMap((row) => Object.values(row))) {
          const part = value instanceof Uint8Array ? value : Buffer.from(`${typeof value} ${String(value)}`);
          hash.update(`${part.length} `).update(part);
        }
        const digest = hash.digest('hex').slice(0, 16);
        snapshot[text(name)] = `${rows.length}, ${digest}`;
      }
      for (const file of files().filter((name) => name.startsWith(blobFolder))) {
        snapshot[file.slice(blobFolder.length)] = String(statSync(file).size);
      }
      return snapshot;
    },
    bucket,
    object: (bucketName, key) => {
      const [row] = query(
        `SELECT version.n, body.* FROM object_current AS current
         JOIN object_version AS version USING (bucket_uid, key, seq) JOIN body USING (body_no)
         WHERE current.bucket_uid = ? AND current.key = ?`,
        bucket(bucketName)?.uid ?? '',
        Buffer.from(key),
      );
      return row === undefined ? null : { encrypted: row['n'] !== null, bytes: bodyBytes(row) };
    },
    upload: (uploadId) => {
      const [row] = query('SELECT n FROM upload WHERE upload_id = ?', uploadId);
      return row === undefined ? null : { encrypted: row['n'] !== null };
    },
    part: (uploadId, partNumber) => {
      const sql = 'SELECT blob_id FROM upload_part WHERE upload_id = ? AND part_number = ?';
      const [row] = query(sql, uploadId, partNumber);
      return row === undefined ? null : blob(text(row['blob_id']));
    },
    filesWith: (wanted) => files().filter((file) => readFileSync(file).includes(wanted)).length,
  };
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new Error('a column of the store is not the text it should be');
  return value;
}

function bytes(value: unknown): Buffer {
  if (!(value instanceof Uint8Array)) throw new Error('a column of the store is not the bytes it should be');
  return Buffer.from(value);
}
