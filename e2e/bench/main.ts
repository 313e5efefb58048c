/**
 * `make bench`: encrypted against plain in one run, PUT and GET, three sizes, one and eight connections, store on
 * disk and on tmpfs; medians of interleaved rounds, beside a bare node:http server and the raw speed of the ciphers.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { createBucket, sdkClient } from '../harness/clients.ts';
import { startPykmip } from '../harness/pykmip.ts';
import { startSealgate } from '../harness/sealgate.ts';
import { type BareServer, startBareServer } from './bareServer.ts';
import type { LoadJob, LoadResult } from './load.ts';
import { rawSpeed } from './rawSpeed.ts';

const WORKERS = 2;
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const ROUND_MS = Number(process.env['BENCH_ROUND_MS'] ?? 1200);
const KIB = 1024;
const SIZES = [
  { name: '4 KiB', bytes: 4 * KIB, keys: 2000 },
  { name: '1 MiB', bytes: KIB * KIB, keys: 64 },
  { name: '64 MiB', bytes: 64 * KIB * KIB, keys: 8 },
] as const;
const CONCURRENCIES = [1, 8] as const;
const BUCKETS = { plain: 'bench-plain', encrypted: 'bench-encrypted' } as const;
type Kind = keyof typeof BUCKETS | 'bare';

/** Runs jobs in the load generator's process, one at a time. */
class Load {
  readonly #child: ChildProcess = fork(fileURLToPath(new URL('./load.ts', import.meta.url)));

  async run(job: LoadJob): Promise<LoadResult> {
    this.#child.send(job);
    const [answer] = (await once(this.#child, 'message')) as [{ result?: LoadResult; failure?: string }];
    if (answer.result === undefined)
      throw new Error(`${job.method} ${job.bodyBytes} bytes: ${answer.failure}`);
    return answer.result;
  }

  close(): void {
    this.#child.kill();
  }
}

async function presigned(
  s3: S3Client,
  bucket: string,
  method: 'GET' | 'PUT',
  count: number,
): Promise<string[]> {
  return await Promise.all(
    Array.from({ length: count }, (_, i) => {
      const object = { Bucket: bucket, Key: `object-${i}` };
      const command = method === 'GET' ? new GetObjectCommand(object) : new PutObjectCommand(object);
      return getSignedUrl(s3, command, { expiresIn: 3600 });
    }),
  );
}

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
};

interface Figure {
  readonly perSecond: number;
  readonly MBps: number;
  readonly p99Ms: number;
}

async function measure(
  load: Load,
  jobs: Readonly<Record<Kind, LoadJob>>,
): Promise<Readonly<Record<Kind, Figure>>> {
  const kinds: readonly Kind[] = ['plain', 'encrypted', 'bare'];
  const seen: Record<Kind, LoadResult[]> = { plain: [], encrypted: [], bare: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    // Interleaved, and each round begins with another kind: what drifts, drifts for all.
    for (let i = 0; i < kinds.length; i += 1) {
      const kind = kinds[(i + round) % kinds.length] ?? 'plain';
      seen[kind].push(await load.run(jobs[kind]));
    }
  }
  const figure = (kind: Kind): Figure => {
    const perSecond = median(seen[kind].map((result) => (result.requests / result.elapsedMs) * 1000));
    return {
      perSecond,
      MBps: (perSecond * jobs[kind].bodyBytes) / 1e6,
      p99Ms: median(seen[kind].map((result) => result.p99Ms)),
    };
  };
  return { plain: figure('plain'), encrypted: figure('encrypted'), bare: figure('bare') };
}

function row(cells: readonly string[]): string {
  const widths = [7, 8, 4, 2, 18, 18, 7, 9, 18, 8];
  return cells.map((cell, i) => cell.padStart(widths[i] ?? 8)).join('  ');
}

function shown(figure: Figure): string {
  return `${figure.perSecond.toFixed(0)}/s ${figure.MBps.toFixed(0)} MB/s`;
}

async function benchStore(
  name: string,
  parent: string,
  load: Load,
  bare: BareServer,
  kmsFolder: string,
): Promise<void> {
  const folder = await mkdtemp(join(parent, 'sealgate-bench-'));
  const pykmip = await startPykmip({ folder: join(kmsFolder, name) });
  const { ca, clientCert, clientKey } = pykmip.certificates;
  const server = await startSealgate({
    folder,
    workers: WORKERS,
    kms: { port: pykmip.port, certificates: { ca, cert: clientCert, key: clientKey } },
    configPatch: (config) => {
      config['gc'] = { grace: '0s' };
      config['log'] = { level: 'warn' };
    },
  });
  try {
    const s3 = sdkClient(server);
    for (const kind of ['plain', 'encrypted'] as const)
      await createBucket(server, BUCKETS[kind], kind === 'encrypted');
    for (const size of SIZES) {
      for (const method of ['PUT', 'GET'] as const) {
        const { gcmMBps, md5MBps } = rawSpeed();
        const urls = {
          plain: await presigned(s3, BUCKETS.plain, method, size.keys),
          encrypted: await presigned(s3, BUCKETS.encrypted, method, size.keys),
          bare: [`${bare.endpoint}/bytes/${size.bytes}`],
        };
        for (const concurrency of CONCURRENCIES) {
          const job = (kind: Kind): LoadJob => ({
            method,
            urls: urls[kind],
            bodyBytes: size.bytes,
            concurrency,
            durationMs: ROUND_MS,
            atLeast: method === 'PUT' ? Math.ceil(Math.min(size.keys, 64) / concurrency) : 1,
          });
          if (method === 'PUT') {
            // Every key exists before anything is read, and before overwriting is measured.
            const all = { concurrency: 8, durationMs: 0, atLeast: Math.ceil(size.keys / 8) };
            for (const kind of ['plain', 'encrypted'] as const) await load.run({ ...job(kind), ...all });
          }
          const jobs = { plain: job('plain'), encrypted: job('encrypted'), bare: job('bare') };
          const { plain, encrypted, bare: node } = await measure(load, jobs);
          const limit = 1 / (1 / plain.MBps + 1 / gcmMBps) / plain.MBps;
          const raw = `${gcmMBps.toFixed(0)} / ${md5MBps.toFixed(0)}`;
          const ratio = (encrypted.perSecond / plain.perSecond).toFixed(2);
          const cells = [name, size.name, method, String(concurrency), shown(plain), shown(encrypted), ratio];
          process.stdout.write(`${row([...cells, limit.toFixed(2), shown(node), raw])}\n`);
        }
      }
    }
  } finally {
    await server.stop();
    await pykmip.kill();
    await rm(folder, { recursive: true });
  }
}

async function main(): Promise<void> {
  const started = performance.now();
  const load = new Load();
  const bare = await startBareServer(WORKERS);
  const kmsFolder = await mkdtemp(join(tmpdir(), 'sealgate-bench-kms-'));
  try {
    process.stdout.write(
      `median of ${ROUNDS} interleaved rounds of ${ROUND_MS} ms, ${WORKERS} workers, presigned URLs\n`,
    );
    process.stdout.write(
      'limit: 1/(1/plain + 1/cipher) as a ratio; raw: AES-256-GCM / MD5 of one thread, MB/s\n',
    );
    process.stdout.write(
      `${row(['store', 'size', 'op', 'c', 'plain', 'encrypted', 'ratio', 'limit', 'bare node:http', 'raw'])}\n`,
    );
    await benchStore('tmpfs', '/dev/shm', load, bare, kmsFolder);
    await benchStore('disk', tmpdir(), load, bare, kmsFolder);
  } finally {
    load.close();
    await bare.close();
    await rm(kmsFolder, { recursive: true });
  }
  process.stdout.write(`took ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
}

await main();
