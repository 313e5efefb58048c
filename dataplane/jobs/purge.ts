/**
 * Purges: buckets in state Deleting lose their versions, parts and uploads batch by batch, and then go themselves. In turn, a
 * slice of time each, for as long as the process lives; what is cut at any step is taken up again, because the bucket itself
 * says that it is to be purged.
 *
 * Owns what is purged next, and the pace. It must not decide that a bucket is purged, nor touch a blob: those become
 * garbage, which the collector takes.
 */
import { type BucketDocument, type Metadata, MetadataError } from '../metadata/metadata.ts';
import type { JobClock } from './jobClock.ts';
import type { JobLog } from './jobLog.ts';

export interface PurgesOptions {
  readonly metadata: Pick<Metadata, 'bucket' | 'purge' | 'deleteBucket' | 'listEveryBucket'>;
  readonly clock: JobClock;
  readonly log: JobLog;
  /** Ends the purges after the batch under way. */
  readonly signal: AbortSignal;
}

/** Rows in one transaction: a few milliseconds of the writer's time. */
const BATCH = 100;
/** For one bucket, before the next has its turn. */
const SLICE_MS = 10_000;
/** Before what failed is tried again. */
const RETRY_MS = 10_000;
/** As long as a timer can be. */
const LONGEST_MS = 2 ** 31 - 1;
const PAGE = 500;

type Purged = Pick<BucketDocument, 'name' | 'bucketUid' | 'owner'>;

interface Purge extends Purged {
  /** How many went so far; null: it has not begun. */
  rows: number | null;
}

/** What a slice came to; failed: it is tried again later. */
type Outcome = 'ended' | 'more' | 'failed';

export class Purges {
  readonly #options: PurgesOptions;
  readonly #waiting = new Map<string, Purge>();
  #searched = false;
  #woken = new AbortController();

  constructor(options: PurgesOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.#woken.abort(), { once: true });
  }

  /** A bucket that is Deleting from now on. */
  add({ name, bucketUid, owner }: Purged): void {
    if (!this.#waiting.has(bucketUid)) this.#waiting.set(bucketUid, { name, bucketUid, owner, rows: null });
    this.#woken.abort();
  }

  /** Works until the signal, and resolves then. Rejects with defects only. */
  async run(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      this.#woken = new AbortController();
      const waitMs = await this.round();
      if (!signal.aborted) await clock.wait(waitMs, this.#woken.signal);
    }
  }

  /** A slice for every bucket that waits; resolves to how long nothing will need to be done, in milliseconds. */
  async round(): Promise<number> {
    const { signal } = this.#options;
    const outcomes = new Set<Outcome>();
    if (!this.#searched) outcomes.add(await this.#attempt('search', () => this.#search()));
    for (const purge of this.#waiting.values()) {
      const { name, bucketUid } = purge;
      const outcome = await this.#attempt(name, () => this.#slice(purge));
      if (signal.aborted) return 0;
      if (outcome === 'ended') this.#waiting.delete(bucketUid);
      outcomes.add(outcome);
    }
    if (outcomes.has('more')) return 0;
    // Whatever else is to be purged is told by add().
    return outcomes.has('failed') ? RETRY_MS : LONGEST_MS;
  }

  /** One bucket that cannot be purged does not keep the others. */
  async #attempt(bucket: string, work: () => Promise<Outcome>): Promise<Outcome> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof MetadataError)) throw error;
      // Told twice, and gone with the first time.
      if (error.code === 'NoSuchBucket') return 'ended';
      this.#options.log.warn({ err: error, bucket }, 'a purge could not go on; it will be tried again');
      return 'failed';
    }
  }

  /** What an earlier life left. */
  async #search(): Promise<Outcome> {
    const { metadata, signal } = this.#options;
    let after = '';
    while (!signal.aborted) {
      const page = await metadata.listEveryBucket({ after, limit: PAGE });
      for (const { bucket } of page) {
        if (!(bucket instanceof MetadataError) && bucket.state === 'Deleting') this.add(bucket);
      }
      const last = page.at(-1);
      if (last === undefined) {
        this.#searched = true;
        return 'ended';
      }
      after = last.name;
    }
    return 'more';
  }

  async #slice(purge: Purge): Promise<Outcome> {
    const { clock, log, metadata, signal } = this.#options;
    const { name, bucketUid, owner } = purge;
    if (purge.rows === null) log.info({ bucket: name, owner }, 'purging a bucket');
    purge.rows ??= 0;
    const untilMs = clock.steadyMs() + SLICE_MS;
    while (!signal.aborted && clock.steadyMs() < untilMs) {
      const startedMs = clock.steadyMs();
      const removed = await metadata.purge(name, bucketUid, BATCH);
      purge.rows += removed;
      if (removed === 0) {
        await metadata.deleteBucket(name, bucketUid, { state: 'Deleting', owner });
        log.info({ bucket: name, owner, rows: purge.rows }, 'a bucket was purged');
        return 'ended';
      }
      // As long a rest as the work took: clients come first, on the writer and on the processor.
      await clock.wait(clock.steadyMs() - startedMs, signal);
    }
    return 'more';
  }
}
