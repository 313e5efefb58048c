/**
 * Applications that go on writing and reading while something is done to the installation.
 *
 * Owns what was acknowledged, what failed, and the longest time without a success. What is done meanwhile is the test's.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';

/** Between two requests of a writer: enough to see a short gap, and not what a small machine is busy with. */
const PACE_MS = 20;
/** After a failure: longer, because a new connection is tried each time. */
const PACE_AFTER_FAILURE_MS = 200;
const PATIENCE_MS = 3_000;
const WRITERS = 2;

export interface LoadReport {
  /** Writes that were acknowledged. */
  readonly acknowledged: number;
  /** What failed requests said, each once with its count. */
  readonly failures: Readonly<Record<string, number>>;
  /** The longest time without any success. */
  readonly gapMs: number;
}

export interface Load {
  /** Resolves when a request that began after this call has succeeded. */
  served(): Promise<void>;
  /** Ends it, and resolves when no request is on its way. */
  stop(): Promise<LoadReport>;
  /** Acknowledged writes whose object is not what was written, and why. To be called after `stop`. */
  lost(): Promise<string[]>;
}

export interface LoadOptions {
  readonly s3: S3Client;
  /** Reads back in the end: with tries enough, for a request that fails is no lost object. */
  readonly reader: S3Client;
  readonly bucket: string;
  /** Of the keys. */
  readonly prefix: string;
  /** A request without an answer for so long has failed, with all its tries; default: 3 s. */
  readonly patienceMs?: number;
}

/** Starts it and resolves when it is served. */
export async function startLoad(options: LoadOptions): Promise<Load> {
  const { s3, reader, bucket: Bucket, prefix, patienceMs = PATIENCE_MS } = options;
  const acknowledged: string[] = [];
  const failures: Record<string, number> = {};
  const ending = new AbortController();
  const waiting = new Set<{ readonly sinceMs: number; readonly resolve: () => void }>();
  let lastMs = performance.now();
  let gapMs = 0;
  const succeeded = (beganMs: number): void => {
    const nowMs = performance.now();
    gapMs = Math.max(gapMs, nowMs - lastMs);
    lastMs = nowMs;
    for (const one of waiting) {
      if (one.sinceMs > beganMs) continue;
      waiting.delete(one);
      one.resolve();
    }
  };
  /** Resolves to how long to wait before the next. */
  const attempt = async (request: () => Promise<void>): Promise<number> => {
    const beganMs = performance.now();
    try {
      await request();
      succeeded(beganMs);
      return PACE_MS;
    } catch (error) {
      const why = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      failures[why] = (failures[why] ?? 0) + 1;
      return PACE_AFTER_FAILURE_MS;
    }
  };
  const read = async (client: S3Client, Key: string, abortSignal?: AbortSignal): Promise<void> => {
    const limit = abortSignal === undefined ? {} : { abortSignal };
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }), limit);
    if ((await Body?.transformToString()) !== contentOf(Key)) throw new Error('other content');
  };
  const write = async (Key: string): Promise<void> => {
    await s3.send(new PutObjectCommand({ Bucket, Key, Body: contentOf(Key) }), {
      abortSignal: AbortSignal.timeout(patienceMs),
    });
    acknowledged.push(Key);
  };
  const writer = async (name: string): Promise<void> => {
    for (let count = 0; !ending.signal.aborted; count++) {
      await pause(await attempt(async () => await write(`${prefix}/${name}-${count}`)));
      const latest = acknowledged.at(-1);
      if (latest === undefined) continue;
      await pause(await attempt(async () => await read(s3, latest, AbortSignal.timeout(patienceMs))));
    }
  };
  const writers = Array.from({ length: WRITERS }, (_, index) => writer(String(index)));
  const load: Load = {
    served: async () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add({ sinceMs: performance.now(), resolve });
      await promise;
    },
    stop: async () => {
      ending.abort();
      await Promise.all(writers);
      return { acknowledged: acknowledged.length, failures, gapMs: Math.round(gapMs) };
    },
    lost: async () => {
      const missing: string[] = [];
      for (const key of acknowledged) {
        try {
          await read(reader, key);
        } catch (error) {
          missing.push(`${key}: ${String(error)}`);
        }
      }
      return missing;
    },
  };
  await load.served();
  return load;
}

/** Larger than what is kept beside the metadata. */
function contentOf(key: string): string {
  return `${key}\n`.repeat(1 + Math.ceil(8_192 / key.length));
}
