/** Writers that put objects one after another and remember which of them were acknowledged, and when. */
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';

export interface LoadReport {
  readonly acknowledged: number;
  readonly failed: number;
  /** The longest time in which no writer was served, ms. */
  readonly longestGapMs: number;
}

export class S3Load {
  readonly #s3: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #acknowledged: { readonly key: string; readonly atMs: number }[] = [];
  readonly #writers: Promise<void>[];
  #failed = 0;
  #ended = false;
  #served: (() => void)[] = [];

  constructor(s3: S3Client, place: { readonly bucket: string; readonly prefix: string }, writers: number) {
    this.#s3 = s3;
    this.#bucket = place.bucket;
    this.#prefix = place.prefix;
    this.#writers = Array.from({ length: writers }, async (_, writer) => await this.#write(writer));
  }

  /** Resolves when so many more were acknowledged. */
  async served(count: number): Promise<void> {
    for (let left = count; left > 0; left -= 1) {
      await new Promise<void>((resolve) => this.#served.push(resolve));
    }
  }

  /** Ends the writers and reads everything back. Rejects when something acknowledged is missing or another. */
  async end(): Promise<LoadReport> {
    this.#ended = true;
    await Promise.all(this.#writers);
    for (const { key } of this.#acknowledged) {
      const { Body } = await this.#s3.send(new GetObjectCommand({ Bucket: this.#bucket, Key: key }));
      const text = await Body?.transformToString();
      if (text !== bodyOf(key)) throw new Error(`${key} was acknowledged and is another object now`);
    }
    const times = this.#acknowledged.map(({ atMs }) => atMs).toSorted((a, b) => a - b);
    const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? atMs));
    return { acknowledged: times.length, failed: this.#failed, longestGapMs: Math.max(0, ...gaps) };
  }

  async #write(writer: number): Promise<void> {
    for (let number = 0; !this.#ended; number += 1) {
      const key = `${this.#prefix}/${writer}/${number}`;
      try {
        await this.#s3.send(new PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: bodyOf(key) }));
      } catch {
        // What was not acknowledged may be there or not.
        this.#failed += 1;
        // A refused connection answers at once: the next try is not before other work had its turn.
        await new Promise((resolve) => setTimeout(resolve, 20));
        continue;
      }
      this.#acknowledged.push({ key, atMs: performance.now() });
      for (const told of this.#served.splice(0)) told();
    }
  }
}

const bodyOf = (key: string): string => `${key} `.repeat(200);
