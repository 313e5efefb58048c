import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket, sdkClient } from '../harness/clients.ts';
import { startSealgate } from '../harness/sealgate.ts';
import { checkTrace, TRACED_CALLS, type TraceReport } from '../harness/syscallTrace.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUCKET = 'durable';
/** Syncs that are taken out, which the check must notice; all of them in the long form. */
const BREACHES = [
  ['the WAL', 'metadata/sqlite/connection.ts', 'PRAGMA synchronous = FULL', 'PRAGMA synchronous = NORMAL'],
  [
    'the blob',
    'blobs/filesystem/fileWriter.ts',
    'Promise.allSettled([this.#sync(), this.#syncDirectory()])',
    'Promise.allSettled([this.#syncDirectory()])',
  ],
  [
    'its folder',
    'blobs/filesystem/fileWriter.ts',
    'Promise.allSettled([this.#sync(), this.#syncDirectory()])',
    'Promise.allSettled([this.#sync()])',
  ],
] as const;
const PART_BYTES = 5 * 1024 * 1024;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-durability-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** Writes one after another, every kind of acknowledged write, under a trace of the data plane's system calls. */
async function trace(name: string, launcher?: string): Promise<TraceReport> {
  const traceFile = join(folder, `${name}.strace`);
  const server = await startSealgate({
    folder: join(folder, name),
    workers: 1,
    wrapper: [
      'strace',
      '-f',
      '-y',
      '-s',
      '64',
      '-e',
      `trace=${TRACED_CALLS}`,
      '-e',
      'signal=none',
      '-o',
      traceFile,
    ],
    ...(launcher === undefined ? {} : { launcher }),
  });
  try {
    // Plain: what is synced does not depend on encryption, and no KMS is needed.
    await createBucket(server, BUCKET, false);
    const s3 = sdkClient(server);
    for (let i = 0; i < 5; i += 1) {
      await s3.send(
        new PutObjectCommand({ Bucket: BUCKET, Key: `inline-${i}`, Body: Buffer.alloc(4096, i) }),
      );
      await s3.send(
        new PutObjectCommand({ Bucket: BUCKET, Key: `blob-${i}`, Body: Buffer.alloc(200_000, i) }),
      );
    }
    const upload = { Bucket: BUCKET, Key: 'multipart' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(upload));
    const Parts = [];
    for (const PartNumber of [1, 2]) {
      const { ETag } = await s3.send(
        new UploadPartCommand({
          ...upload,
          UploadId,
          PartNumber,
          Body: Buffer.alloc(PART_BYTES, PartNumber),
        }),
      );
      Parts.push({ PartNumber, ETag });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...upload, UploadId, MultipartUpload: { Parts } }));
    s3.destroy();
  } finally {
    await server.stop();
  }
  return checkTrace(readFileSync(traceFile, 'utf8'), server.dataFolder);
}

/** A private copy of the data plane in which one sync is taken out. */
function withoutSync(name: string, file: string, from: string, to: string): string {
  const copy = join(folder, `copy-${name}`);
  mkdirSync(copy);
  for (const part of ['dataplane', '.tools', 'package.json'])
    cpSync(join(ROOT, part), join(copy, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const path = join(copy, 'dataplane', file);
  const source = readFileSync(path, 'utf8');
  expect(source.split(from).length, `${file} has one place to break`).toBe(2);
  writeFileSync(path, source.replace(from, to));
  return join(copy, 'dataplane/sealgate');
}

describe('in the trace of the system calls', () => {
  it('blob, folder and WAL are synced before each 200', async () => {
    const report = await trace('whole');
    expect(report.violations).toEqual([]);
    expect(report.answers).toBeGreaterThanOrEqual(15);
    expect(report.blobsCreated).toBe(7);
    expect(report.walWrites).toBeGreaterThanOrEqual(13);
  });

  it.each(SOAK ? BREACHES : BREACHES.slice(0, 1))(
    'the check notices when the sync of %s is taken out',
    async (kind, file, from, to) => {
      const name = kind.replaceAll(' ', '-');
      const report = await trace(name, withoutSync(name, file, from, to));
      expect(report.violations.some((violation) => violation.includes(kind))).toBe(true);
      expect(report.violations.every((violation) => violation.includes(kind))).toBe(true);
    },
  );
});
