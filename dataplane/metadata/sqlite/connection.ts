/**
 * Connections to the SQLite file, and what their errors mean.
 *
 * WAL with synchronous=FULL: a commit that returned is on the disk. Checkpoints are the writer's alone
 * (wal_autocheckpoint=0), so that no commit pays for one by surprise.
 */
import { DatabaseSync } from 'node:sqlite';
import { MetadataError } from '../metadata.ts';
import { migrate, schemaVersion, storedSchemaVersion } from './migrations.ts';

const busyTimeoutMs = 5_000;

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
const sqliteIoError = 10;
const sqliteCorrupt = 11;
const sqliteFull = 13;
const sqliteNotADatabase = 26;

/** The only connection that writes: one per data folder, in the writer thread. Makes and migrates the schema. */
export function openWriterConnection(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: busyTimeoutMs });
  try {
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;');
    db.exec('PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;');
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw asMetadataError(error);
  }
}

/** A connection that cannot write, for one worker or command. The schema must be this build's. */
export function openReaderConnection(path: string): DatabaseSync {
  let db: DatabaseSync;
  try {
    db = new DatabaseSync(path, { readOnly: true, timeout: busyTimeoutMs });
  } catch (error) {
    throw asMetadataError(error);
  }
  try {
    db.exec('PRAGMA query_only = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;');
    const stored = storedSchemaVersion(db);
    if (stored !== schemaVersion) {
      throw new MetadataError(
        'Unavailable',
        `the metadata has schema ${stored}, this build reads ${schemaVersion}`,
      );
    }
    return db;
  } catch (error) {
    db.close();
    throw asMetadataError(error);
  }
}

/** The primary result code of an error that SQLite raised, or null for any other error. */
function sqliteCode(error: unknown): number | null {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_SQLITE_ERROR') return null;
  return 'errcode' in error && typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}

/**
 * True when the disk or the file failed: after such an error nobody knows what is durable, and asking again
 * could be answered with a false success (a failed fsync is never repeated).
 */
export function isStorageFailure(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === sqliteIoError || code === sqliteCorrupt || code === sqliteNotADatabase;
}

/** What a caller is told about this error. */
export function asMetadataError(error: unknown): MetadataError {
  if (error instanceof MetadataError) return error;
  const code = sqliteCode(error);
  if (code === sqliteFull) return new MetadataError('NoSpace', 'the metadata disk is full', { cause: error });
  if (code === sqliteCorrupt)
    return new MetadataError('Integrity', 'the metadata file is damaged', { cause: error });
  // An integer beyond 2^53 - 1 can only stand in a row that somebody edited.
  if (error instanceof RangeError)
    return new MetadataError('Integrity', 'a metadata row is out of range', { cause: error });
  const reason = error instanceof Error ? error.message : 'unknown';
  return new MetadataError('Unavailable', `the metadata engine failed: ${reason}`, { cause: error });
}
