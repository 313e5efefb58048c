/** A real engine in a temporary folder, and rows to put into it. */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { newId } from '../../crypto/ids.ts';
import type {
  AccessKeyDocument,
  BucketDocument,
  Descriptor,
  Id,
  KeyVersionDocument,
  Metadata,
  NewBody,
  NewVersion,
  UploadPart,
  UploadRow,
} from '../metadata.ts';
import { openSqliteMetadata } from './sqliteMetadata.ts';
import {
  startWriter,
  type WriterOptions,
  type WriterThread,
  writerControls,
  writerThreadData,
} from './writer.ts';
import { type FromWriter, serveWriter, type ToWriter } from './writerService.ts';

export const testControlKey: KeyObject = createSecretKey(Buffer.alloc(32, 7));

export interface Engine extends AsyncDisposable {
  readonly folder: string;
  readonly path: string;
  readonly incarnation: Id;
  readonly writer: WriterThread;
  readonly metadata: Metadata;
  /** What onDeath was called with. */
  readonly deaths: readonly Error[];
  /** Unix milliseconds of every client. */
  readonly clock: { nowMs: number };
  connect(): Metadata;
  /** Edits the file behind the engine's back. */
  edit(sql: string, ...values: readonly (string | number | null | Uint8Array)[]): number;
  /** Rows of a query, for looking at what is stored. */
  rows(sql: string): readonly Record<string, unknown>[];
  /** Keeps the writer from committing until it is disposed of: what is queued meanwhile stays queued. */
  holdWrites(): Disposable;
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'sealgate-'));
}

/** The service of the writer's thread, in this thread: faster to start, and seen by the coverage. */
async function startWriterHere({ onDeath, ...settings }: WriterOptions): Promise<WriterThread> {
  const { port1, port2 } = new MessageChannel();
  const shared = writerThreadData(settings);
  serveWriter(port2, shared);
  port1.on('message', (message: FromWriter) => {
    if (message.kind === 'fatal') onDeath(message.error);
  });
  await once(port1, 'message');
  const send = (message: ToWriter, transfer: readonly MessagePort[] = []): void =>
    port1.postMessage(message, transfer);
  return {
    ...writerControls(send, settings, shared),
    async close() {
      const closed = once(port1, 'close');
      send({ kind: 'close' });
      await closed;
    },
  };
}

/** The writer, one client, and everything removed at the end. With options: the writer in its thread. */
export async function openEngine(options: Partial<WriterOptions> | null = null): Promise<Engine> {
  const folder = temporaryFolder();
  const path = join(folder, 'metadata.db');
  const incarnation = newId();
  const deaths: Error[] = [];
  const start = options === null ? startWriterHere : startWriter;
  const writer = await start({
    path,
    controlKey: testControlKey,
    incarnation,
    freeSpaceReserveBytes: 0,
    onDeath: (error) => deaths.push(error),
    ...options,
  });
  const clock = { nowMs: 1_000_000 };
  const clients: Metadata[] = [];
  const connect = (): Metadata => {
    const client = openSqliteMetadata({
      path,
      controlKey: testControlKey,
      writer: writer.connect(),
      now: () => clock.nowMs,
    });
    clients.push(client);
    return client;
  };
  const edit = (sql: string, ...values: readonly (string | number | null | Uint8Array)[]): number => {
    using db = new DatabaseSync(path, { timeout: 5_000 });
    return Number(db.prepare(sql).run(...values).changes);
  };
  const rows = (sql: string): readonly Record<string, unknown>[] => {
    using db = new DatabaseSync(path, { readOnly: true });
    return db.prepare(sql).all();
  };
  const holdWrites = (): Disposable => {
    const db = new DatabaseSync(path, { timeout: 5_000 });
    db.exec('BEGIN IMMEDIATE');
    // Closing rolls back.
    return { [Symbol.dispose]: () => db.close() };
  };
  return {
    folder,
    path,
    incarnation,
    writer,
    metadata: connect(),
    deaths,
    clock,
    connect,
    edit,
    rows,
    holdWrites,
    async [Symbol.asyncDispose]() {
      if (deaths.length === 0) for (const client of clients) await client.close();
      await writer.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function bucketNamed(name: string, changes: Partial<BucketDocument> = {}): BucketDocument {
  return {
    name,
    bucketUid: newId(),
    revision: 0,
    ownerId: 'owner',
    region: 'us-east-1',
    createdMs: 1,
    state: 'Ready',
    encryption: null,
    keyVersion: null,
    everPlain: true,
    versioning: 'Unversioned',
    rotateEveryMs: null,
    owner: null,
    kmsConnection: null,
    ...changes,
  };
}

export function keyVersionOf(bucketUid: Id, changes: Partial<KeyVersionDocument> = {}): KeyVersionDocument {
  return {
    bucketUid,
    n: 1,
    revision: 0,
    kmsConnection: 'default',
    kmsName: 'sealgate/test',
    kmsId: null,
    keyCheckValue: null,
    state: 'Creating',
    reservedMs: 1,
    attempt: null,
    rotation: null,
    answers: null,
    ...changes,
  };
}

export function accessKeyOf(
  accessKeyId: string,
  changes: Partial<AccessKeyDocument> = {},
): AccessKeyDocument {
  return {
    accessKeyId,
    revision: 0,
    owner: 'team-a/reports',
    grants: [{ bucket: 'reports', prefix: '', permissions: ['read'] }],
    createdMs: 1,
    expiresMs: null,
    secretSalt: Buffer.alloc(32, 1).toString('base64'),
    sealedSecret: Buffer.alloc(56, 2).toString('base64'),
    ...changes,
  };
}

/** Another pattern of bytes for every first byte. */
export function filled(sizeBytes: number, first: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, (_, index) => (first + index) & 0xff);
}

export const someDescriptor: Descriptor = {
  suite: 1,
  chunkLog2: 17,
  n: 1,
  wrapSalt: filled(32, 1),
  sealedKey: filled(48, 2),
  recordSalt: filled(32, 3),
  sealedRecord: filled(90, 4),
};

/** A plain version with a body of its own. */
export function versionIn(
  bucket: BucketDocument,
  key: string | Uint8Array,
  changes: Partial<NewVersion> = {},
): NewVersion {
  return {
    bucketName: bucket.name,
    bucketUid: bucket.bucketUid,
    versioning: bucket.versioning,
    key: typeof key === 'string' ? Buffer.from(key) : key,
    versionId: newId(),
    isNull: true,
    lastModifiedMs: 5,
    bodyId: newId(),
    size: 3,
    partCount: 0,
    descriptor: null,
    clearRecord: filled(40, 9),
    listEtag: filled(16, 8),
    etagParts: 0,
    ...changes,
  };
}

export const inlineBody: NewBody = { kind: 'inline', stored: filled(3, 1), salt: null };

export function blobBody(incarnation: Id, blobId: Id = newId()): NewBody & { readonly kind: 'blob' } {
  return { kind: 'blob', location: { incarnation, blobId }, storedBytes: 3, salt: null, crcs: filled(4, 1) };
}

export function uploadIn(
  bucket: BucketDocument,
  key: string | Uint8Array,
  changes: Partial<UploadRow> = {},
): UploadRow {
  return {
    uploadId: newId(),
    bucketUid: bucket.bucketUid,
    key: typeof key === 'string' ? Buffer.from(key) : key,
    bodyId: newId(),
    encrypted: false,
    suite: 0,
    chunkLog2: 17,
    checksumAlgorithm: 'CRC32',
    checksumType: 'COMPOSITE',
    ownerId: 'owner',
    createdMs: 7,
    sealed: null,
    clearMeta: filled(5, 1),
    revision: 0,
    ...changes,
  };
}

export function partOf(incarnation: Id, partNumber: number, size = 10): UploadPart {
  return {
    partNumber,
    size,
    location: { incarnation, blobId: newId() },
    storedBytes: size,
    salt: null,
    digestSalt: null,
    digests: filled(24, partNumber),
    partMac: null,
    lastModifiedMs: 9,
  };
}

/** The code of the MetadataError that this rejects with. */
export async function codeOf(operation: Promise<unknown>): Promise<unknown> {
  try {
    await operation;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'resolved';
}

/** The value with byte strings as hex, so that Buffers and Uint8Arrays of the same bytes are equal. */
export function withHex(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(withHex);
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, withHex(field)]));
}
