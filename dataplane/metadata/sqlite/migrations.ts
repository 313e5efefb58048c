/**
 * The schema, as numbered migrations. A migration that was released is never edited; the next one changes it.
 *
 * Keys are BLOBs, compared bytewise; identifiers are 32 hex characters; STRICT, so that an edited row keeps its types.
 * Bodies are numbered: rows that are appended share pages, rows under random identifiers cost a page of the log each.
 * One null version per key is kept by the writer's transactions and not by an index, for the same reason.
 */
import type { DatabaseSync } from 'node:sqlite';
import { MetadataError } from '../metadata.ts';

const initialSchema = `
CREATE TABLE bucket (
  name TEXT PRIMARY KEY,
  bucket_uid TEXT NOT NULL UNIQUE,
  owner_id TEXT NOT NULL,
  document BLOB NOT NULL,
  control_mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bucket_owner ON bucket (owner_id, name);

CREATE TABLE bucket_usage (
  bucket_uid TEXT PRIMARY KEY,
  objects INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  last_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE key_version (
  bucket_uid TEXT NOT NULL,
  n INTEGER NOT NULL,
  document BLOB NOT NULL,
  control_mac BLOB NOT NULL,
  PRIMARY KEY (bucket_uid, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_version (
  bucket_uid TEXT NOT NULL,
  key BLOB NOT NULL,
  seq INTEGER NOT NULL,
  version_id TEXT NOT NULL,
  is_null INTEGER NOT NULL,
  last_modified_ms INTEGER NOT NULL,
  body_id TEXT NOT NULL,
  body_no INTEGER NOT NULL,
  size INTEGER NOT NULL,
  part_count INTEGER NOT NULL,
  suite INTEGER,
  chunk_log2 INTEGER,
  n INTEGER,
  wrap_salt BLOB,
  sealed_key BLOB,
  record_salt BLOB,
  sealed_record BLOB,
  clear_record BLOB,
  PRIMARY KEY (bucket_uid, key, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE object_current (
  bucket_uid TEXT NOT NULL,
  key BLOB NOT NULL,
  seq INTEGER NOT NULL,
  version_id TEXT NOT NULL,
  size INTEGER NOT NULL,
  last_modified_ms INTEGER NOT NULL,
  etag BLOB NOT NULL,
  etag_parts INTEGER NOT NULL,
  n INTEGER,
  wrap_salt BLOB,
  PRIMARY KEY (bucket_uid, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE body (
  body_no INTEGER PRIMARY KEY,
  body_id TEXT NOT NULL,
  refs INTEGER NOT NULL CHECK (refs >= 0),
  kind TEXT NOT NULL CHECK (kind IN ('inline', 'blob', 'parts')),
  blob_id TEXT,
  salt BLOB
) STRICT;

CREATE TABLE inline_body (
  body_no INTEGER PRIMARY KEY,
  stored BLOB NOT NULL
) STRICT;

CREATE TABLE body_parts (
  body_id TEXT NOT NULL,
  page INTEGER NOT NULL,
  first_part INTEGER NOT NULL,
  last_part INTEGER NOT NULL,
  first_offset INTEGER NOT NULL,
  end_offset INTEGER NOT NULL,
  parts TEXT NOT NULL,
  page_mac BLOB,
  PRIMARY KEY (body_id, page)
) STRICT, WITHOUT ROWID;

CREATE TABLE blob (
  blob_id TEXT PRIMARY KEY,
  incarnation TEXT NOT NULL,
  stored_bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE blob_crc (
  blob_id TEXT NOT NULL,
  n INTEGER NOT NULL,
  crcs BLOB NOT NULL,
  PRIMARY KEY (blob_id, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE upload (
  upload_id TEXT PRIMARY KEY,
  bucket_uid TEXT NOT NULL,
  key BLOB NOT NULL,
  document BLOB NOT NULL,
  control_mac BLOB NOT NULL,
  n INTEGER,
  wrap_salt BLOB,
  sealed_key BLOB,
  revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX upload_key ON upload (bucket_uid, key, upload_id);

CREATE TABLE upload_part (
  upload_id TEXT NOT NULL,
  part_number INTEGER NOT NULL,
  size INTEGER NOT NULL,
  blob_id TEXT NOT NULL,
  salt BLOB,
  digest_salt BLOB,
  digests BLOB NOT NULL,
  part_mac BLOB,
  last_modified_ms INTEGER NOT NULL,
  PRIMARY KEY (upload_id, part_number)
) STRICT, WITHOUT ROWID;

CREATE TABLE completed_upload (
  upload_id TEXT PRIMARY KEY,
  bucket_uid TEXT NOT NULL,
  key BLOB NOT NULL,
  version_id TEXT NOT NULL,
  completed_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX completed_upload_age ON completed_upload (completed_ms);

CREATE TABLE incarnation (
  incarnation TEXT PRIMARY KEY,
  started_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE garbage (
  kind TEXT NOT NULL CHECK (kind IN ('body', 'blob')),
  id TEXT NOT NULL,
  body_no INTEGER,
  since_ms INTEGER NOT NULL,
  claimed INTEGER NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX garbage_age ON garbage (since_ms, kind, id);
`;

/** How often sealed keys name a key version, and what jobs write down. No index over versions: it would cost each PUT. */
const keyRotation = `
CREATE TABLE key_usage (
  bucket_uid TEXT NOT NULL,
  n INTEGER NOT NULL,
  versions INTEGER NOT NULL,
  uploads INTEGER NOT NULL,
  PRIMARY KEY (bucket_uid, n)
) STRICT, WITHOUT ROWID;
INSERT INTO key_usage (bucket_uid, n, versions, uploads)
  SELECT bucket_uid, n, sum(versions), sum(uploads) FROM (
    SELECT bucket_uid, n, 1 AS versions, 0 AS uploads FROM object_version WHERE n IS NOT NULL
    UNION ALL SELECT bucket_uid, n, 0, 1 FROM upload WHERE n IS NOT NULL
  ) GROUP BY bucket_uid, n;

CREATE TABLE job_state (
  kind TEXT NOT NULL,
  bucket_uid TEXT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (kind, bucket_uid)
) STRICT, WITHOUT ROWID;
`;

/**
 * Under which key version each data key was sealed first. It belongs to the body, as the data key does. Before this
 * migration no bucket had a version other than 1.
 */
const dataKeyAge = `
ALTER TABLE body ADD COLUMN data_key_n INTEGER NOT NULL DEFAULT 1;
ALTER TABLE upload ADD COLUMN data_key_n INTEGER NOT NULL DEFAULT 1;
`;

/** Access keys, by id for each request that one signs, by owner for whoever declares them. */
const accessKeys = `
CREATE TABLE access_key (
  access_key_id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  document BLOB NOT NULL,
  control_mac BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_key_owner ON access_key (owner, access_key_id);
`;

/**
 * How many key versions each connection has in each state, and the newest epoch of a leader. No MAC covers either: they
 * decide who may administer, never what a key opens. A document that was edited into something else is left out.
 */
const fleetAdministration = `
CREATE TABLE connection_usage (
  kms_connection TEXT NOT NULL,
  state TEXT NOT NULL,
  versions INTEGER NOT NULL,
  PRIMARY KEY (kms_connection, state)
) STRICT, WITHOUT ROWID;
INSERT INTO connection_usage (kms_connection, state, versions)
  SELECT kms_connection, state, count(*) FROM (
    SELECT json_extract(document, '$.kmsConnection') AS kms_connection, json_extract(document, '$.state') AS state
    FROM (SELECT CAST(document AS TEXT) AS document FROM key_version) WHERE json_valid(document)
  ) WHERE typeof(kms_connection) = 'text' AND typeof(state) = 'text' GROUP BY kms_connection, state;

CREATE TABLE leader_epoch (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  epoch INTEGER NOT NULL
) STRICT;
`;

const migrations: readonly string[] = [
  initialSchema,
  keyRotation,
  dataKeyAge,
  accessKeys,
  fleetAdministration,
];

/** The schema number that this build reads and writes. */
export const schemaVersion = migrations.length;

/** The number of the schema in the file; 0 for an empty one. */
export function storedSchemaVersion(db: DatabaseSync): number {
  const version = db.prepare('PRAGMA user_version').get()?.['user_version'];
  return typeof version === 'number' ? version : 0;
}

/** Brings the file to schemaVersion, each migration in a transaction of its own. MetadataError 'Unavailable' for a newer file. */
export function migrate(db: DatabaseSync): void {
  const from = storedSchemaVersion(db);
  if (from > schemaVersion) {
    throw new MetadataError(
      'Unavailable',
      `the metadata has schema ${from}, newer than this build's ${schemaVersion}`,
    );
  }
  for (const [index, sql] of migrations.entries()) {
    if (index < from) continue;
    db.exec(`BEGIN IMMEDIATE; ${sql}; PRAGMA user_version = ${index + 1}; COMMIT`);
  }
}
