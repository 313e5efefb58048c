/**
 * Metadata in SQLite: each worker reads over a connection of its own and writes through the one writer thread.
 *
 * Owns the assembly of both. An acknowledged write is visible to every later read of every client, because the
 * writer answers after COMMIT and no client keeps a snapshot across an await.
 */
import type { KeyObject } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import type { Metadata } from '../metadata.ts';
import { type Inventory, type MetadataReads, openReads } from './reads.ts';
import { WriteClient } from './writeClient.ts';

export interface SqliteMetadataOptions {
  readonly path: string;
  readonly controlKey: KeyObject;
  /** From WriterThread.connect(). */
  readonly writer: MessagePort;
  /** Unix milliseconds, for the age of garbage and of completed uploads. */
  readonly now?: () => number;
}

/** A client of the engine. MetadataError 'Unavailable' when the file cannot be opened. */
export function openSqliteMetadata(options: SqliteMetadataOptions): Metadata {
  const { reads, close } = openReads(options.path, options.controlKey);
  const writer = new WriteClient(options.writer);
  const now = options.now ?? Date.now;
  return {
    ...reads,
    putAccessKey: (accessKey, ownBucketsOnly = false) =>
      writer.send('putAccessKey', accessKey, ownBucketsOnly),
    deleteAccessKey: (accessKeyId, revision) => writer.send('deleteAccessKey', accessKeyId, revision),
    createBucket: (bucket, keyVersion) => writer.send('createBucket', bucket, keyVersion),
    updateBucket: (bucket, keyVersions, ifEmpty = false) =>
      writer.send('updateBucket', bucket, keyVersions ?? [], ifEmpty),
    deleteBucket: (name, bucketUid, expected = { state: 'Ready', owner: null }) =>
      writer.send('deleteBucket', name, bucketUid, expected, now()),
    dropReservation: (name, bucketUid) => writer.send('dropReservation', name, bucketUid),
    putKeyVersion: (keyVersion) => writer.send('putKeyVersion', keyVersion),
    commitVersion: (version, body, expectCurrent) =>
      writer.send('commitVersion', version, body, expectCurrent, now()),
    deleteObject: (bucketName, bucketUid, key, expectCurrent) =>
      writer.send('deleteObject', bucketName, bucketUid, key, expectCurrent, now()),
    createUpload: (bucketName, upload) => writer.send('createUpload', bucketName, upload),
    commitPart: (upload, part, crcs) => writer.send('commitPart', upload, part, crcs, now()),
    completeUpload: (upload, version, pages, expectCurrent) =>
      writer.send('completeUpload', upload, version, pages, expectCurrent, now()),
    abortUpload: (bucketUid, key, uploadId) => writer.send('abortUpload', bucketUid, key, uploadId, now()),
    claimGarbage: (items) => writer.send('claimGarbage', items),
    finishGarbage: (items) => writer.send('finishGarbage', items),
    rewrap: (bucketUid, items) => writer.send('rewrap', bucketUid, items),
    retireKeyVersion: (bucketUid, n) => writer.send('retireKeyVersion', bucketUid, n),
    replaceBody: (version, replaces, body) => writer.send('replaceBody', version, replaces, body, now()),
    putJobState: (kind, bucketUid, state) => writer.send('putJobState', kind, bucketUid, state),
    purge: (name, bucketUid, limit) => writer.send('purge', name, bucketUid, limit, now()),
    takeEpoch: () => writer.send('takeEpoch'),
    forgetCompletedUploads: (beforeMs) => writer.send('forgetCompletedUploads', beforeMs),
    async close() {
      await writer.close();
      close();
    },
  };
}

/** What `inspect` and `verify` read: no writer, no lock, beside a running process or without one. */
export interface ReadOnlyMetadata extends MetadataReads, Inventory {
  close(): Promise<void>;
}

export function openSqliteMetadataReadOnly(
  options: Pick<SqliteMetadataOptions, 'path' | 'controlKey'>,
): ReadOnlyMetadata {
  const { reads, inventory, close } = openReads(options.path, options.controlKey);
  return { ...reads, ...inventory, close: () => Promise.resolve(close()) };
}
