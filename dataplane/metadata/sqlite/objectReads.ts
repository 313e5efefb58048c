/** Reading object versions and listing them. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import {
  type BodyPlace,
  type Descriptor,
  type Id,
  type ListedObject,
  type ListObjectsQuery,
  MetadataError,
  type ObjectPage,
  type ObjectVersion,
} from '../metadata.ts';
import type { BucketReads } from './bucketReads.ts';
import { bytes, integer, optionalBytes, optionalInteger, optionalText, type Row, text } from './columns.ts';
import { asMetadataError } from './connection.ts';
import { type Source, walkGroups } from './groupedListing.ts';
import { afterKey, afterPrefix, commonPrefix } from './keyRanges.ts';

const versionColumns = `
  version.key, version.seq, version.version_id, version.is_null, version.last_modified_ms, version.body_id, version.size,
  version.part_count, version.suite, version.chunk_log2, version.n, version.wrap_salt, version.sealed_key,
  version.record_salt, version.sealed_record, version.clear_record,
  body.refs, body.kind, body.salt, inline_body.stored, blob.blob_id, blob.incarnation, blob.stored_bytes`;

const versionJoins = `
  LEFT JOIN body ON body.body_no = version.body_no AND body.body_id = version.body_id
  LEFT JOIN inline_body ON inline_body.body_no = body.body_no
  LEFT JOIN blob ON blob.blob_id = body.blob_id`;

/** One version of an inventory: what is wrong with its row does not hide the others. */
export interface VersionEntry {
  readonly key: Uint8Array;
  readonly seq: number;
  readonly version: ObjectVersion | MetadataError;
}

export class ObjectReads {
  readonly #db: DatabaseSync;
  readonly #buckets: BucketReads;
  readonly #current: StatementSync;
  readonly #versions: StatementSync;
  readonly #list: StatementSync;
  readonly #listUntil: StatementSync;

  constructor(db: DatabaseSync, buckets: BucketReads) {
    this.#db = db;
    this.#buckets = buckets;
    this.#current = db.prepare(
      `SELECT current.version_id AS current_id, ${versionColumns}
       FROM object_current AS current
       LEFT JOIN object_version AS version
         ON version.bucket_uid = current.bucket_uid AND version.key = current.key AND version.seq = current.seq
       ${versionJoins}
       WHERE current.bucket_uid = ? AND current.key = ?`,
    );
    this.#versions = db.prepare(
      `SELECT ${versionColumns} FROM object_version AS version ${versionJoins}
       WHERE version.bucket_uid = ? AND (version.key, version.seq) > (?, ?) ORDER BY version.key, version.seq LIMIT ?`,
    );
    const listed = 'key, version_id, size, last_modified_ms, etag, etag_parts, n, wrap_salt';
    this.#list = db.prepare(
      `SELECT ${listed} FROM object_current WHERE bucket_uid = ? AND key >= ? ORDER BY key LIMIT ?`,
    );
    this.#listUntil = db.prepare(
      `SELECT ${listed} FROM object_current WHERE bucket_uid = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?`,
    );
  }

  current(bucketUid: Id, key: Uint8Array): ObjectVersion | null {
    const row = this.#current.get(bucketUid, key);
    if (row === undefined) return null;
    if (row['version_id'] === null || text(row, 'version_id') !== text(row, 'current_id')) {
      throw new MetadataError('Integrity', 'the current version has no row of its own');
    }
    return this.#version(bucketUid, row);
  }

  /** Versions in the order of key and seq, behind this one. */
  versions(bucketUid: Id, afterKey: Uint8Array, afterSeq: number, limit: number): VersionEntry[] {
    return this.#versions.all(bucketUid, afterKey, afterSeq, limit).map((row) => ({
      key: bytes(row, 'key'),
      seq: integer(row, 'seq'),
      version: this.#versionOrError(bucketUid, row),
    }));
  }

  list(query: ListObjectsQuery): ObjectPage {
    const { bucketUid, prefix, delimiter, after } = query;
    const source: Source<ListedObject, Uint8Array> = {
      fetch: (from, end, limit) => {
        const rows =
          end === null
            ? this.#list.all(bucketUid, from, limit)
            : this.#listUntil.all(bucketUid, from, end, limit);
        return rows.map((row) => this.#listed(bucketUid, row));
      },
      keyOf: (object) => object.key,
      after: (object) => afterKey(object.key),
      at: (key) => key,
    };
    // Inside of a group that `after` names or lies in, everything counts as listed.
    const group = commonPrefix(after, prefix, delimiter);
    const start = group === null ? afterKeyOrStart(after) : afterPrefix(group);
    if (start === null) return { objects: [], commonPrefixes: [], next: null };
    const from = Buffer.compare(start, prefix) < 0 ? prefix : start;
    const page = snapshot(this.#db, () => walkGroups(source, query, from));
    const last = page.entries.at(-1);
    return {
      objects: page.entries.flatMap((entry) => (entry.kind === 'row' ? [entry.row] : [])),
      commonPrefixes: page.entries.flatMap((entry) => (entry.kind === 'group' ? [entry.commonPrefix] : [])),
      next: !page.more || last === undefined ? null : last.kind === 'row' ? last.row.key : last.commonPrefix,
    };
  }

  #versionOrError(bucketUid: Id, row: Row): ObjectVersion | MetadataError {
    try {
      return this.#version(bucketUid, row);
    } catch (error) {
      return asMetadataError(error);
    }
  }

  #version(bucketUid: Id, row: Row): ObjectVersion {
    const descriptor = descriptorOf(row);
    const clearRecord = optionalBytes(row, 'clear_record');
    if (descriptor === null) this.#requireEverPlain(bucketUid);
    if ((descriptor === null) !== (clearRecord !== null)) {
      throw new MetadataError('Integrity', 'a version is neither sealed nor plain');
    }
    return {
      bucketUid,
      key: bytes(row, 'key'),
      seq: integer(row, 'seq'),
      versionId: text(row, 'version_id'),
      isNull: integer(row, 'is_null') === 1,
      lastModifiedMs: integer(row, 'last_modified_ms'),
      bodyId: text(row, 'body_id'),
      size: integer(row, 'size'),
      partCount: integer(row, 'part_count'),
      descriptor,
      clearRecord,
      body: bodyPlaceOf(row),
    };
  }

  #listed(bucketUid: Id, row: Row): ListedObject {
    const n = optionalInteger(row, 'n');
    if (n === null) this.#requireEverPlain(bucketUid);
    return {
      key: bytes(row, 'key'),
      versionId: text(row, 'version_id'),
      size: integer(row, 'size'),
      lastModifiedMs: integer(row, 'last_modified_ms'),
      etag: bytes(row, 'etag'),
      etagParts: integer(row, 'etag_parts'),
      n,
      wrapSalt: optionalBytes(row, 'wrap_salt'),
    };
  }

  #requireEverPlain(bucketUid: Id): void {
    if (this.#buckets.byUid(bucketUid)?.everPlain === false) {
      throw new MetadataError('Integrity', 'a version without a descriptor in a bucket that was never plain');
    }
  }
}

/** Runs reads that belong together on one snapshot. They must be synchronous. */
export function snapshot<T>(db: DatabaseSync, read: () => T): T {
  db.exec('BEGIN');
  try {
    return read();
  } finally {
    db.exec('ROLLBACK');
  }
}

function afterKeyOrStart(after: Uint8Array): Uint8Array {
  return after.byteLength === 0 ? after : afterKey(after);
}

function descriptorOf(row: Row): Descriptor | null {
  const suite = optionalInteger(row, 'suite');
  if (suite === null) return null;
  return {
    suite,
    chunkLog2: integer(row, 'chunk_log2'),
    n: integer(row, 'n'),
    wrapSalt: bytes(row, 'wrap_salt'),
    sealedKey: bytes(row, 'sealed_key'),
    recordSalt: bytes(row, 'record_salt'),
    sealedRecord: bytes(row, 'sealed_record'),
  };
}

function bodyPlaceOf(row: Row): BodyPlace {
  const kind = optionalText(row, 'kind');
  if (kind === null || integer(row, 'refs') < 1)
    throw new MetadataError('Integrity', 'a version has no body');
  const salt = optionalBytes(row, 'salt');
  if (kind === 'parts') return { kind };
  if (kind === 'inline') return { kind, stored: bytes(row, 'stored'), salt };
  const location = { incarnation: text(row, 'incarnation'), blobId: text(row, 'blob_id') };
  return { kind: 'blob', location, storedBytes: integer(row, 'stored_bytes'), salt };
}
