/**
 * What a store holds, to be compared before and after a request that must leave nothing: files, rows, gauges.
 *
 * Reads the disk behind the server's back. It must not ask the server about objects.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Sealgate } from './sealgate.ts';
import type { RawAnswer } from './signedRequest.ts';

export interface StoreState {
  /** Every file under the data folder: blobs, databases, and any temporary file that there should not be. */
  readonly files: readonly string[];
  /** Number of rows by table. */
  readonly rows: Readonly<Record<string, number>>;
  /** Key and version of every object version. */
  readonly versions: readonly string[];
}

export function storeState(server: Sealgate): StoreState {
  const files = readdirSync(server.dataFolder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  using database = new DatabaseSync(join(server.dataFolder, 'metadata.db'), { readOnly: true });
  const rows: Record<string, number> = {};
  const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all();
  for (const { name } of tables) {
    rows[String(name)] = Number(database.prepare(`SELECT count(*) AS n FROM ${String(name)}`).get()?.['n']);
  }
  const versions = database
    .prepare('SELECT hex(key) AS key, version_id FROM object_version')
    .all()
    .map((row) => `${String(row['key'])} ${String(row['version_id'])}`)
    .toSorted();
  return { files, rows, versions };
}

/** Waits until the server has done with the request of that answer: its log line is written when all is cleaned up. */
export async function finished(server: Sealgate, answer: RawAnswer): Promise<void> {
  const requestId = answer.headers['x-amz-request-id'];
  await server.logLine(
    (line) => line['requestId'] === requestId && (line['msg'] === 'request' || line['msg'] === 'not HTTP'),
  );
}

/** Waits until so many requests for that key are done. */
export async function finishedKey(server: Sealgate, key: string): Promise<Record<string, unknown>> {
  return await server.logLine((line) => line['msg'] === 'request' && line['key'] === key);
}
