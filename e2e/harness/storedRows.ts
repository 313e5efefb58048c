/** What the metadata database says, read beside the running server without its help. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Runs a query on the metadata of that data folder, read-only. */
export function storedRows(
  dataFolder: string,
  sql: string,
  ...values: (string | number | Uint8Array)[]
): Record<string, unknown>[] {
  const database = new DatabaseSync(join(dataFolder, 'metadata.db'), { readOnly: true });
  try {
    return database.prepare(sql).all(...values);
  } finally {
    database.close();
  }
}

/** The stored documents of a table of control rows. */
export function storedDocuments(
  dataFolder: string,
  table: 'bucket' | 'key_version' | 'upload',
): Record<string, unknown>[] {
  return storedRows(dataFolder, `SELECT document FROM ${table}`).map(
    (row) =>
      JSON.parse(Buffer.from(row['document'] as Uint8Array).toString('utf8')) as Record<string, unknown>,
  );
}

/** The KMS's identifiers of all bucket keys. */
export function kmsIdentifiers(dataFolder: string): string[] {
  return storedDocuments(dataFolder, 'key_version').flatMap(({ kmsId }) =>
    typeof kmsId === 'string' ? [kmsId] : [],
  );
}
