import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';
const MIB = 1024 * 1024;
const PUT_MIB = SOAK ? 1024 : 192;
const PART_MIB = SOAK ? 64 : 16;
const PARTS = SOAK ? 80 : 12;
const LIMIT_BYTES = 400e6;
const SAMPLE_EVERY_MIB = 4;
const BUCKET = 'memory';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2 });
  await createBucket(deployment.server, BUCKET, true);
});
afterAll(() => deployment.close());

const base = randomBytes(MIB);

/** Block i of every body: no two alike, so that a swapped or repeated block is noticed. */
function block(index: number): Buffer {
  const bytes = Buffer.from(base);
  bytes.writeUInt32BE(index, 0);
  bytes.writeUInt32BE(index, MIB - 4);
  return bytes;
}

/** Resident memory of the server, sampled as data moves. */
const samples: number[] = [];
function sample(): void {
  const status = readFileSync(`/proc/${deployment.server.pid}/status`, 'utf8');
  samples.push(Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024);
}

async function put(url: string, firstBlock: number, blocks: number): Promise<string> {
  const outgoing = request(url, { method: 'PUT', headers: { 'content-length': blocks * MIB } });
  const answered = once(outgoing, 'response');
  for (let i = 0; i < blocks; i += 1) {
    if (!outgoing.write(block(firstBlock + i))) await once(outgoing, 'drain');
    if (i % SAMPLE_EVERY_MIB === 0) sample();
  }
  outgoing.end();
  const [answer] = (await answered) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['x-amz-server-side-encryption']).toBe('AES256');
  return answer.headers.etag ?? '';
}

/** Reads the whole object and compares it block by block. */
async function read(key: string, blocks: number): Promise<void> {
  const url = await getSignedUrl(deployment.s3, new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  const outgoing = request(url).end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  let expected = block(0);
  let index = 0;
  let at = 0;
  for await (const piece of answer as AsyncIterable<Buffer>) {
    for (let from = 0; from < piece.length; ) {
      const length = Math.min(piece.length - from, MIB - at);
      if (piece.compare(expected, at, at + length, from, from + length) !== 0)
        throw new Error(`block ${index} of ${key} differs`);
      from += length;
      at += length;
      if (at < MIB) continue;
      at = 0;
      index += 1;
      expected = block(index);
      if (index % SAMPLE_EVERY_MIB === 0) sample();
    }
  }
  expect([index, at]).toEqual([blocks, 0]);
}

describe(`with two workers, ${PUT_MIB} MiB in one PUT and ${PARTS * PART_MIB} MiB in ${PARTS} parts`, () => {
  it('writes and reads back what was written', async () => {
    const { s3 } = deployment;
    const single = { Bucket: BUCKET, Key: 'single' };
    await put(await getSignedUrl(s3, new PutObjectCommand(single)), 0, PUT_MIB);
    const object = { Bucket: BUCKET, Key: 'multipart' };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
    const Parts = [];
    for (let i = 0; i < PARTS; i += 1) {
      const PartNumber = i + 1;
      const url = await getSignedUrl(s3, new UploadPartCommand({ ...object, UploadId, PartNumber }));
      Parts.push({ PartNumber, ETag: await put(url, i * PART_MIB, PART_MIB) });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }));
    await read('single', PUT_MIB);
    await read('multipart', PARTS * PART_MIB);
  }, 1_200_000);

  it(`keeps resident memory under ${LIMIT_BYTES / 1e6} MB, and does not grow`, () => {
    const quarter = Math.floor(samples.length / 4);
    const first = Math.max(...samples.slice(0, quarter));
    const last = Math.max(...samples.slice(-quarter));
    const peak = Math.max(...samples);
    process.stdout.write(
      `resident memory, MB: first quarter ${(first / 1e6).toFixed(0)}, last quarter ${(last / 1e6).toFixed(0)}, peak ${(peak / 1e6).toFixed(0)}\n`,
    );
    expect(samples.length).toBeGreaterThan(100);
    expect(peak).toBeLessThan(LIMIT_BYTES);
    expect(last).toBeLessThanOrEqual(first * 1.1);
  });
});
