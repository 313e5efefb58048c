/** A steady S3 load on a bucket: clients that write an object, read it back and start over, each request tried once. */
import type { S3Client } from '@aws-sdk/client-s3';
import { get, put } from './world.ts';

export interface LoadReport {
  readonly rounds: number;
  /** In words; empty: every request succeeded, and every object was read as it was written. */
  readonly failures: readonly string[];
}

const CLIENTS = 3;

/** Loads the bucket while `work` is under way, and for one more round of each client after it. */
export async function underLoad(
  s3: S3Client,
  bucketName: string,
  work: () => Promise<void>,
): Promise<LoadReport> {
  const failures: string[] = [];
  let rounds = 0;
  const ending = new AbortController();
  const round = async (client: number): Promise<void> => {
    const [key, body] = [`load-${client}`, `round ${rounds} of ${client}`];
    try {
      await put(s3, bucketName, key, body);
      const found = await get(s3, bucketName, key);
      if (found !== body) failures.push(`${key} is ${found} instead of ${body}`);
    } catch (error) {
      failures.push(String(error));
    }
    rounds += 1;
  };
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    while (!ending.signal.aborted) await round(client);
    await round(client);
  });
  try {
    await work();
  } finally {
    ending.abort();
    await Promise.all(clients);
  }
  return { rounds, failures };
}
