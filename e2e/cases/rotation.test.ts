import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askAdmin, rotationState } from '../harness/admin.ts';
import { createBucket } from '../harness/clients.ts';
import { type Deployment, startDeployment } from '../harness/deployment.ts';
import { sign } from '../harness/signedRequest.ts';
import { storedDocuments, storedRows } from '../harness/storedRows.ts';

const SOAK = process.env['SEALGATE_SOAK'] === '1';
const OBJECTS = SOAK ? 100_000 : 2_000;
const UPLOADS = SOAK ? 1_000 : 30;
/** Every so many objects one is too large for the metadata and lies in a file. */
const LARGE_EVERY = 50;
const WRITERS = 16;
const FOREGROUND = 6;
const BUCKET = 'rotated';
const LAUNCHER = fileURLToPath(new URL('../../dataplane/sealgate', import.meta.url));

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ workers: 2 });
  await createBucket(deployment.server, BUCKET, true);
});
afterAll(() => deployment.close());

const contentOf = (name: string, attempt: number): Buffer => {
  const large = Number(/\d+/.exec(name)?.[0] ?? 0) % LARGE_EVERY === 0;
  return Buffer.alloc(large ? 70_000 : 300, `${name} attempt ${attempt};`);
};

const put = (name: string, attempt: number) =>
  deployment.client.send(new PutObjectCommand({ Bucket: BUCKET, Key: name, Body: contentOf(name, attempt) }));
const get = async (name: string): Promise<Buffer> => {
  const answer = await deployment.client.send(new GetObjectCommand({ Bucket: BUCKET, Key: name }));
  return Buffer.from((await answer.Body?.transformToByteArray()) ?? []);
};

/** The same work by several at once. */
async function together(count: number, items: readonly number[], work: (item: number) => Promise<unknown>) {
  const queue = [...items].toReversed();
  const one = async (): Promise<void> => {
    for (let item = queue.pop(); item !== undefined; item = queue.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: count }, one));
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

interface OpenUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly etag: string;
}

async function openUpload(i: number): Promise<OpenUpload> {
  const key = `upload-${i}`;
  const place = { Bucket: BUCKET, Key: key };
  const { UploadId: uploadId = '' } = await deployment.client.send(new CreateMultipartUploadCommand(place));
  const part = { ...place, UploadId: uploadId, PartNumber: 1, Body: contentOf(key, 0) };
  const { ETag: etag = '' } = await deployment.client.send(new UploadPartCommand(part));
  return { key, uploadId, etag };
}

const complete = ({ key, uploadId, etag }: OpenUpload) =>
  deployment.client.send(
    new CompleteMultipartUploadCommand({
      Bucket: BUCKET,
      Key: key,
      UploadId: uploadId,
      MultipartUpload: { Parts: [{ PartNumber: 1, ETag: etag }] },
    }),
  );

/** SHA-256 of every blob file by its name. */
async function blobDigests(): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  const folder = join(deployment.server.dataFolder, 'blobs');
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !/^[0-9a-f]{32}$/.test(entry.name)) continue;
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(entry.parentPath, entry.name)), hash);
    digests.set(entry.name, hash.digest('hex'));
  }
  return digests;
}

/** Reads, overwrites and new objects by several clients until `ended`; latencies in milliseconds, sorted. */
async function traffic(name: string, written: Map<string, number>, ended: () => boolean) {
  const latencies: number[] = [];
  const client = async (who: number): Promise<void> => {
    for (let i = 0; !ended(); i += 1) {
      const target = `o${(i * 7919 + who * 104_729) % OBJECTS}`;
      // Each client overwrites keys of its own, so that what a read must find is known.
      const own = `o${(((i * 31) % Math.floor(OBJECTS / FOREGROUND)) * FOREGROUND + who) % OBJECTS}`;
      const startedMs = performance.now();
      if (i % 3 === 0) {
        const attempt = (written.get(own) ?? 0) + 1;
        await put(own, attempt);
        written.set(own, attempt);
      } else if (i % 3 === 1) {
        await put(`new-${name}-${who}-${i}`, 0);
        written.set(`new-${name}-${who}-${i}`, 0);
      } else {
        const text = (await get(target)).toString('latin1', 0, 60);
        expect(text.startsWith(`${target} attempt `)).toBe(true);
      }
      latencies.push(performance.now() - startedMs);
    }
  };
  await Promise.all(range(FOREGROUND).map(client));
  return latencies.toSorted((a, b) => a - b);
}

const percentile = (sorted: readonly number[], p: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))] ?? 0).toFixed(1);

/** A PUT that sends half of its body and then a byte a second; `finish` sends the rest and resolves to the status. */
function slowPut(name: string, body: Buffer): { readonly finish: () => Promise<number> } {
  const { head } = sign(deployment.server, { method: 'PUT', path: `/${BUCKET}/${name}`, body });
  const { hostname, port } = new URL(deployment.server.endpoint);
  const socket = connect({ host: hostname, port: Number(port) });
  const received: Buffer[] = [];
  const closed = new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('close', () => resolve());
  });
  let sent = body.length / 2;
  socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body.subarray(0, sent)]));
  // Slow is not silent: who sends nothing is cut.
  const trickle = setInterval(() => {
    socket.write(body.subarray(sent, sent + 1));
    sent += 1;
  }, 1_000);
  return {
    finish: async () => {
      clearInterval(trickle);
      socket.write(body.subarray(sent));
      await closed;
      return Number(/^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(received).toString('latin1'))?.[1]);
    },
  };
}

/** Polls the admin port until the bucket's rewrap is over; `each` sees every state. */
async function rewrapped(each: (done: number, remaining: number) => void = () => undefined): Promise<void> {
  for (;;) {
    const { rewrap } = await rotationState(deployment.server, BUCKET);
    each(rewrap.done, rewrap.remaining);
    if (rewrap.state === 'Idle') return;
  }
}

/** Rows by the key version that they are sealed under. */
function sealedUnder(): Record<string, number> {
  const sql =
    'SELECT n, count(*) AS rows FROM (SELECT n FROM object_version UNION ALL SELECT n FROM upload) GROUP BY n';
  return Object.fromEntries(
    storedRows(deployment.server.dataFolder, sql).map(({ n, rows }) => [String(n), Number(rows)]),
  );
}

describe(`${OBJECTS} objects and ${UPLOADS} open uploads under a bucket key that is rotated`, () => {
  const written = new Map<string, number>();
  const uploads: OpenUpload[] = [];

  it('are all re-sealed while clients read, write, overwrite and complete; no read fails, nothing is lost, no blob changes', async () => {
    await together(WRITERS, range(OBJECTS), async (i) => {
      await put(`o${i}`, 0);
      written.set(`o${i}`, 0);
    });
    await together(WRITERS, range(UPLOADS), async (i) => uploads.push(await openUpload(i)));
    const blobs = await blobDigests();
    const until = performance.now() + (SOAK ? 20_000 : 2_000);
    const alone = await traffic('before', written, () => performance.now() > until);

    const slow = slowPut('slow', contentOf('slow', 0));
    // The slow request has its key once the server has read the head: one that was sent after it is answered.
    await put('marker', 0);
    const startedMs = performance.now();
    const rotated = await askAdmin(deployment.server, 'POST', `buckets/${BUCKET}/rotate`, {
      requestId: 'r1',
    });
    expect(rotated).toMatchObject({ status: 200, body: { n: 2, state: 'Current' } });
    let over = false;
    let most = 0;
    const during = traffic('during', written, () => over);
    const completing = together(2, range(Math.floor(UPLOADS / 2)), async (i) => {
      const upload = uploads[i];
      if (upload !== undefined) await complete(upload);
    });
    await rewrapped((done) => {
      most = Math.max(most, done);
    });
    const tookMs = performance.now() - startedMs;
    await completing;
    over = true;
    const busy = await during;

    expect(sealedUnder()['1']).toBeUndefined();
    const old = storedDocuments(deployment.server.dataFolder, 'key_version').find(({ n }) => n === 1);
    expect(['Retiring', 'Revoked']).toContain(old?.['state']);
    expect(await slow.finish()).toBe(200);
    expect((await get('slow')).equals(contentOf('slow', 0))).toBe(true);
    expect(sealedUnder()['1']).toBeUndefined();

    await together(2, range(UPLOADS).slice(Math.floor(UPLOADS / 2)), async (i) => {
      const upload = uploads[i];
      if (upload !== undefined) await complete(upload);
    });
    const names = [...written.keys()];
    await together(WRITERS, range(names.length), async (i) => {
      const name = names[i] ?? '';
      expect((await get(name)).equals(contentOf(name, written.get(name) ?? 0)), name).toBe(true);
    });
    await together(WRITERS, range(UPLOADS), async (i) =>
      expect((await get(`upload-${i}`)).equals(contentOf(`upload-${i}`, 0))).toBe(true),
    );
    const after = await blobDigests();
    expect([...blobs].filter(([name, digest]) => after.get(name) !== digest)).toEqual([]);
    expect(blobs.size).toBeGreaterThan(OBJECTS / LARGE_EVERY);
    process.stdout.write(
      `rewrap of ${OBJECTS} objects and ${UPLOADS} uploads beside ${FOREGROUND} clients: ${(tookMs / 1_000).toFixed(1)} s, ` +
        `${Math.round((OBJECTS + UPLOADS) / (tookMs / 1_000))}/s; progress seen up to ${most}; ${blobs.size} blobs unchanged\n` +
        `foreground latency p50/p99 ms: alone ${percentile(alone, 50)}/${percentile(alone, 99)} (${alone.length} requests), ` +
        `during ${percentile(busy, 50)}/${percentile(busy, 99)} (${busy.length} requests)\n`,
    );
  });

  it('go on being re-sealed by the next process when this one is killed', async () => {
    const asked = await askAdmin(deployment.server, 'POST', `buckets/${BUCKET}/rotate`, { requestId: 'r2' });
    expect(asked).toMatchObject({ status: 200, body: { n: 3 } });
    await deployment.server.kill();
    expect(sealedUnder()['2'] ?? 0).toBeGreaterThan(0);
    await deployment.restart();
    const again = await askAdmin(deployment.server, 'POST', `buckets/${BUCKET}/rotate`, { requestId: 'r2' });
    expect(again).toMatchObject({ status: 200, body: { n: 3 } });
    await rewrapped();
    expect(Object.keys(sealedUnder())).toEqual(['3']);
    const name = 'o1';
    expect((await get(name)).equals(contentOf(name, written.get(name) ?? 0))).toBe(true);
  });

  it('are moved to another key by the command, the old keys are revoked in the KMS, and it lists and destroys them', async () => {
    const { configFile, adminEndpoint } = deployment.server;
    const config = JSON.parse(readFileSync(configFile, 'utf8')) as { admin: { listen: string } };
    config.admin.listen = new URL(adminEndpoint).host;
    const forCommands = `${configFile}.commands.json`;
    writeFileSync(forCommands, JSON.stringify(config));
    const sealgate = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)(LAUNCHER, [...args, '--config', forCommands])).stdout;

    expect(await sealgate('rotate', BUCKET, '--wait')).toMatch(
      /key version 4 is in force \(kms, \d+\)[^]*nothing is sealed under an older version/,
    );
    expect(Object.keys(sealedUnder())).toEqual(['4']);
    const told = 'a key version that nothing refers to was revoked';
    await deployment.server.logLine((line) => line['n'] === 3 && line['msg'] === told);
    const { keyVersions } = await rotationState(deployment.server, BUCKET);
    expect(keyVersions.map(({ n, state }) => `${n} ${state}`)).toEqual([
      '1 Revoked',
      '2 Revoked',
      '3 Revoked',
      '4 Current',
    ]);
    const ok = 'result="ok"';
    expect(await deployment.server.metric('sealgate_bucket_key_revocations_total', ok)).toBeGreaterThan(0);
    const unused = (await sealgate('keys', '--unused', '--json')).trim().split('\n');
    const keys = unused.map((line) => JSON.parse(line) as { bucketId: string; n: number; kmsId: string });
    expect(keys.map(({ n }) => n)).toEqual([1, 2, 3]);
    const [first] = keys;
    const name = `${first?.bucketId}/${first?.n}`;
    expect(await sealgate('keys', 'destroy', name, '--yes')).toContain(`${name}: Destroyed`);
    expect(() => deployment.kms.keyBytes(first?.kmsId ?? '')).toThrow('has no key');
    expect((await get('o1')).equals(contentOf('o1', written.get('o1') ?? 0))).toBe(true);
  });

  it('are administered over the admin port, which says no as plainly as yes', async () => {
    const { server } = deployment;
    const listed = await askAdmin(server, 'GET', 'buckets');
    expect(listed).toMatchObject({
      status: 200,
      body: { buckets: [{ name: BUCKET, keyVersion: 4 }], next: null },
    });
    const scheduled = await askAdmin(server, 'PUT', `buckets/${BUCKET}/rotation`, { every: '90d' });
    expect(scheduled).toMatchObject({ status: 200, body: { rotateEvery: '90d' } });
    const none = await askAdmin(server, 'POST', 'buckets/none/rotate', { requestId: 'x' });
    expect(none).toMatchObject({ status: 404, body: { error: { code: 'NoSuchBucket' } } });
    // The next read has to ask the KMS for the key.
    const gets = (): number => deployment.kms.requestCount('Get');
    await get('o1');
    const before = gets();
    await get('o1');
    expect(gets()).toBe(before);
    expect(await askAdmin(server, 'POST', 'kms/kms/flush')).toMatchObject({ status: 200 });
    await get('o1');
    expect(gets()).toBe(before + 1);
    const unknown = await askAdmin(server, 'POST', 'kms/nowhere/flush');
    expect(unknown).toMatchObject({ status: 404, body: { error: { code: 'NoSuchConnection' } } });
  });
});
