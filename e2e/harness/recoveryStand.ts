/**
 * A data plane with one object of every form in an encrypted and in a plain bucket, the commands inspect and verify run
 * on it, and the means to damage what it stored behind its back.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { createBucket } from './clients.ts';
import { type Deployment, startDeployment } from './deployment.ts';
import { storedRows } from './storedRows.ts';

const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));
const MIB = 1024 * 1024;

/** Metadata of every object that was put whole. */
export const PRIVATE_VALUE = 'a-metadata-value-that-is-private';
/** Plaintext bytes of the objects in one bucket. */
export const BUCKET_BYTES = 1_000 + 2 * 400_000 + 5 * MIB + 1_000;

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One line of `verify --json`. */
export interface VerifyLine {
  readonly type: string;
  readonly bucket?: string;
  readonly key?: string;
  readonly what?: string;
  readonly [name: string]: unknown;
}

export interface VerifyResult {
  readonly code: number | null;
  readonly lines: readonly VerifyLine[];
  readonly findings: readonly VerifyLine[];
}

export interface RecoveryStand {
  readonly folder: string;
  readonly deployment: Deployment;
  /** The upload that is open in the encrypted bucket. */
  readonly uploadId: string;
  /** Runs a command of the real launcher on the deployment's configuration. */
  run(command: string, ...args: string[]): Promise<CommandResult>;
  /** Runs verify; progress on standard error is allowed, anything else there is an error. */
  verify(...args: string[]): Promise<VerifyResult>;
  rows(sql: string, ...values: (string | number)[]): Record<string, unknown>[];
  /** Edits the database; throws when nothing was changed. */
  edit(sql: string, ...values: (string | number | Uint8Array | null)[]): void;
  fileOf(blobId: string): string;
  /** The files of an object's body, part by part. */
  filesOf(bucket: string, key: string): string[];
  /** The file of part `partNumber` of the open upload. */
  fileOfUpload(partNumber: number): string;
  close(): Promise<void>;
}

/** Starts it with buckets `sealed` and `clear`: inline, blob-1, blob-2, empty, parts (2), and an upload of `open` (2). */
export async function startRecoveryStand(): Promise<RecoveryStand> {
  const folder = await mkdtemp(join(tmpdir(), 'sealgate-recovery-'));
  const deployment = await startDeployment({ parent: folder });
  await createBucket(deployment.server, 'clear', false);
  await createBucket(deployment.server, 'sealed', true);
  await writeObjects(deployment.s3, 'clear');
  const uploadId = await writeObjects(deployment.s3, 'sealed');
  const rows = (sql: string, ...values: (string | number)[]): Record<string, unknown>[] =>
    storedRows(deployment.server.dataFolder, sql, ...values);
  const fileOf = (blobId: string): string => {
    const [row] = rows('SELECT incarnation FROM blob WHERE blob_id = ?', blobId);
    return join(deployment.server.dataFolder, 'blobs', String(row?.['incarnation']), blobId);
  };
  const run = (command: string, ...args: string[]): Promise<CommandResult> =>
    runLauncher([command, '--config', deployment.server.configFile, ...args]);
  return {
    folder,
    deployment,
    uploadId,
    run,
    rows,
    fileOf,
    verify: async (...args) => {
      const { code, stdout, stderr } = await run('verify', '--json', ...args);
      const unexpected = stderr.replaceAll(/^\d+ objects, .*\n/gm, '');
      if (unexpected !== '') throw new Error(`verify said: ${unexpected}`);
      const lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as VerifyLine);
      return { code, lines, findings: lines.filter(({ type }) => type === 'finding') };
    },
    edit: (sql, ...values) => {
      const file = join(deployment.server.dataFolder, 'metadata.db');
      using database = new DatabaseSync(file, { timeout: 5_000 });
      if (database.prepare(sql).run(...values).changes === 0) throw new Error(`nothing to change: ${sql}`);
    },
    filesOf: (bucket, key) => {
      const [row] = rows(
        `SELECT body.blob_id, parts FROM bucket JOIN object_version AS version USING (bucket_uid)
         JOIN body USING (body_no) LEFT JOIN body_parts ON body_parts.body_id = body.body_id
         WHERE name = ? AND CAST(key AS TEXT) = ?`,
        bucket,
        key,
      );
      const parts = row?.['parts'];
      if (typeof parts !== 'string') return [fileOf(String(row?.['blob_id']))];
      return (JSON.parse(parts) as unknown[][]).map((part) => fileOf(String(part[4])));
    },
    fileOfUpload: (partNumber) => {
      const sql = 'SELECT blob_id FROM upload_part WHERE upload_id = ? AND part_number = ?';
      return fileOf(String(rows(sql, uploadId, partNumber)[0]?.['blob_id']));
    },
    close: async () => {
      await deployment.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** Resolves to the id of the upload that stays open. */
async function writeObjects(s3: S3Client, Bucket: string): Promise<string> {
  const put = (Key: string, Body: Buffer) =>
    s3.send(new PutObjectCommand({ Bucket, Key, Body, Metadata: { note: PRIVATE_VALUE } }));
  await put('inline', Buffer.alloc(1_000, 'inline '));
  await put('blob-1', Buffer.alloc(400_000, 'first '));
  await put('blob-2', Buffer.alloc(400_000, 'second '));
  await put('empty', Buffer.alloc(0));
  const begun = async (Key: string) => {
    const { UploadId = '' } = await s3.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    const Parts = [];
    for (const PartNumber of [1, 2]) {
      const Body = Buffer.alloc(PartNumber === 1 ? 5 * MIB : 1_000, `part ${PartNumber} `);
      const { ETag } = await s3.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    return { Bucket, Key, UploadId, MultipartUpload: { Parts } };
  };
  await s3.send(new CompleteMultipartUploadCommand(await begun('parts')));
  return (await begun('open')).UploadId;
}

function runLauncher(args: readonly string[]): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(LAUNCHER, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => stdout.push(piece));
    child.stderr.on('data', (piece: Buffer) => stderr.push(piece));
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({
        code,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
}
