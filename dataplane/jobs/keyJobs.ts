/**
 * The key jobs of a process: unfinished and scheduled rotations, revocation of what retired, rewrap. One after the other,
 * for as long as the process lives; whatever they do may be cut at any step and is taken up again.
 *
 * Owns what is done next and when a failure is tried again. It must not know HTTP, nor how a key is made or sealed.
 */
import { RotationError } from '../buckets/rotateBucketKey.ts';
import { type KeyProvider, KmsError } from '../keys/keys.ts';
import {
  type BucketDocument,
  type Id,
  type KeyVersionDocument,
  type Metadata,
  MetadataError,
} from '../metadata/metadata.ts';
import type { SealingTools } from '../objects/version.ts';
import { Backoff, type Failure } from './backoff.ts';
import type { JobClock } from './jobClock.ts';
import type { JobLog } from './jobLog.ts';
import type { KeyJobMetrics } from './keyJobMetrics.ts';
import { revokeRetired } from './revokeRetired.ts';
import { type RewrapObserver, rewrapSlice } from './rewrap.ts';
import type { Rotations } from './rotations.ts';
import { type Survey, survey } from './survey.ts';

export interface KeyJobsOptions {
  readonly metadata: Metadata;
  readonly keys: KeyProvider;
  readonly tools: SealingTools;
  readonly rotations: Rotations;
  /** This process's life. */
  readonly incarnation: Id;
  readonly clock: JobClock;
  readonly log: JobLog;
  readonly metrics: KeyJobMetrics;
  /** Ends the jobs after the step under way. */
  readonly signal: AbortSignal;
}

/** Between two looks at everything, when nothing is to be done. */
const SURVEY_MS = 60_000;
/** Keys that are made or revoked before what else there is to do has its turn. */
const PER_LOOK = 100;
/** For one bucket, before the next has its turn. */
const SLICE_MS = 10_000;
/**
 * From the retirement of a version to its revocation: a request that had read an old seal just before it was replaced has
 * asked for its key by then. Some servers refuse Get on a revoked key.
 */
const REVOKE_AFTER_MS = 15_000;
/** Until seals that did not open are tried again. */
const DAMAGED_MS = 60 * 60_000;

/** The job cannot go on now, and nothing failed. */
class JobWaits extends Error {
  /** null: as after a failure. */
  readonly waitMs: number | null;
  constructor(message: string, waitMs: number | null) {
    super(message);
    this.name = 'JobWaits';
    this.waitMs = waitMs;
  }
}

export class KeyJobs {
  readonly #options: KeyJobsOptions;
  readonly #observer: RewrapObserver;
  readonly #backoff = new Backoff();
  /** When a version in state Retiring was first seen, on the steady scale. */
  readonly #retiring = new Map<string, number>();
  /** Damaged rows that the log has told of. */
  readonly #told = new Set<string>();
  #woken = new AbortController();

  constructor(options: KeyJobsOptions) {
    this.#options = options;
    this.#observer = observerOf(options);
    options.signal.addEventListener('abort', () => this.wake(), { once: true });
  }

  /** Works until the signal, and resolves then. Rejects with defects only. */
  async run(): Promise<void> {
    const { clock, signal } = this.#options;
    while (!signal.aborted) {
      const waitMs = await this.#roundOrWait();
      if (!signal.aborted) await clock.wait(waitMs, this.#woken.signal);
    }
  }

  /** Looks at everything now instead of later: something was asked for. */
  wake(): void {
    this.#woken.abort();
  }

  /** Why the work on this bucket's keys waits; null when it does not. */
  waiting(bucketUid: Id): Failure | null {
    return this.#backoff.of(rotationOf(bucketUid)) ?? this.#backoff.of(rewrapOf(bucketUid));
  }

  /** A look that fails is repeated later: without the jobs everything else goes on. */
  async #roundOrWait(): Promise<number> {
    try {
      return await this.round();
    } catch (error) {
      if (!isExpected(error)) throw error;
      this.#options.log.error({ err: error }, 'the key jobs could not look at the keys; they will try again');
      return SURVEY_MS;
    }
  }

  /** One look and what follows from it; resolves to how long nothing will need to be done, in milliseconds. */
  async round(): Promise<number> {
    const { clock, rotations, signal } = this.#options;
    // Whoever asks for something from here on may have been overlooked by this look.
    this.#woken = new AbortController();
    const found = await survey({
      ...this.#options,
      nowMs: clock.wallMs(),
      isRunning: (bucketUid) => rotations.isRunning(bucketUid),
    });
    if (found === null) return 0;
    this.#report(found);
    let changed = false;
    const attempt = async (what: string, work: () => Promise<KeyVersionDocument>): Promise<void> => {
      if ((await this.#attempt(what, work)) !== null) changed = true;
    };
    for (const row of found.abandoned) await attempt(revocationOf(row), () => rotations.giveUp(row));
    for (const { bucket, row } of found.unfinished) {
      // One by schedule over a connection that is not declared any more: the next look finds it due over the declared one.
      const outdated = row.rotation?.requestId === null && !isDeclared(bucket, row);
      await attempt(rotationOf(bucket.bucketUid), () =>
        outdated ? rotations.giveUp(row) : rotations.finish(bucket, row),
      );
    }
    const unfinished = new Set(found.unfinished.map(({ bucket }) => bucket.bucketUid));
    const due = found.due.filter(({ bucketUid }) => !unfinished.has(bucketUid));
    for (const { bucketUid, name } of this.#turn(due, (bucket) => rotationOf(bucket.bucketUid))) {
      const request = { requestId: null, toConnection: null };
      await attempt(rotationOf(bucketUid), () => rotations.rotate(name, request));
    }
    const nowMs = clock.steadyMs();
    for (const row of found.retiring) {
      const what = revocationOf(row);
      if (!this.#retiring.has(what)) this.#retiring.set(what, nowMs);
    }
    const revocable = found.retiring.filter((row) => this.#isRevocable(revocationOf(row)));
    for (const row of this.#turn(revocable, revocationOf)) await this.#revoke(row);
    const more = await this.#rewrap(found.rewraps.map(({ name, bucketUid }) => ({ name, bucketUid })));
    if (more || changed || signal.aborted) return 0;
    const revocations = [...this.#retiring].map(([what, seenMs]) =>
      Math.max(seenMs + REVOKE_AFTER_MS, this.#backoff.of(what)?.notBeforeMs ?? 0),
    );
    const times = [clock.steadyMs() + SURVEY_MS, this.#backoff.nextMs ?? Infinity, ...revocations];
    return Math.max(0, Math.min(...times) - clock.steadyMs());
  }

  /**
   * Slices of one bucket after the other, until nothing is left or it is time to look at everything again. Whether there
   * is something to look for: work that is left, or versions that retired.
   */
  async #rewrap(buckets: readonly { readonly name: string; readonly bucketUid: Id }[]): Promise<boolean> {
    const { clock, metadata, signal } = this.#options;
    const untilMs = clock.steadyMs() + SURVEY_MS;
    let queue = [...buckets];
    let retired = false;
    while (queue.length > 0 && !this.#woken.signal.aborted && clock.steadyMs() < untilMs) {
      const unfinished: typeof queue = [];
      for (const { name, bucketUid } of queue) {
        if (signal.aborted) return true;
        const outcome = await this.#attempt(rewrapOf(bucketUid), async () => {
          const bucket = await metadata.bucket(name);
          if (bucket?.bucketUid !== bucketUid) return 'gone';
          const options = { ...this.#options, observer: this.#observer };
          const reached = await rewrapSlice(options, bucket, SLICE_MS);
          if (reached === 'idle') throw new JobWaits('a request may still use an older version', null);
          if (reached === 'damaged')
            throw new JobWaits('some sealed keys do not open; the log names them', DAMAGED_MS);
          return reached;
        });
        if (outcome === 'more') unfinished.push({ name, bucketUid });
        if (outcome === 'finished') retired = true;
      }
      queue = unfinished;
    }
    return retired || queue.length > 0;
  }

  #isRevocable(what: string): boolean {
    const seenMs = this.#retiring.get(what) ?? Infinity;
    return this.#options.clock.steadyMs() - seenMs >= REVOKE_AFTER_MS;
  }

  /** Those that may be tried now, and no more than one look should take. */
  #turn<T>(items: readonly T[], nameOf: (item: T) => string): readonly T[] {
    const nowMs = this.#options.clock.steadyMs();
    return items.filter((item) => this.#backoff.isDue(nameOf(item), nowMs)).slice(0, PER_LOOK);
  }

  async #revoke(row: KeyVersionDocument): Promise<void> {
    const { metadata, keys, metrics, log } = this.#options;
    const what = revocationOf(row);
    const revoked = await this.#attempt(what, () => revokeRetired({ metadata, keys }, row));
    metrics.revoked(revoked === null ? 'failed' : 'ok');
    if (revoked === null) return;
    this.#retiring.delete(what);
    const { bucketUid, n, kmsConnection: connection, kmsId, state } = revoked;
    log.info({ bucketUid, n, connection, kmsId, state }, 'a key version that nothing refers to was revoked');
  }

  /** null when it failed, and while it waits after a failure. Rejects with defects. */
  async #attempt<T>(what: string, work: () => Promise<T>): Promise<T | null> {
    const { clock, log, signal } = this.#options;
    if (signal.aborted || !this.#backoff.isDue(what, clock.steadyMs())) return null;
    try {
      const result = await work();
      this.#backoff.succeeded(what);
      return result;
    } catch (error) {
      if (!isExpected(error)) throw error;
      const waitMs = error instanceof JobWaits ? error.waitMs : null;
      const { failures } = this.#backoff.failed(what, error.message, clock.steadyMs(), waitMs);
      if (error instanceof JobWaits) log.info({ job: what, why: error.message }, 'a key job waits');
      else log.warn({ err: error, job: what, failures }, 'a key job failed; it will be tried again');
      return null;
    }
  }

  #report({ abandoned, damaged, due, oldestRewrapMs, retiring, rewraps, states, unfinished }: Survey): void {
    const { clock, log, metrics } = this.#options;
    metrics.surveyed({
      states,
      rewrapBuckets: rewraps.length,
      oldestRewrapSeconds: oldestRewrapMs === null ? 0 : (clock.wallMs() - oldestRewrapMs) / 1_000,
      overdueRotations: due.length,
    });
    for (const { what, error } of damaged) {
      if (this.#told.has(what)) continue;
      this.#told.add(what);
      log.error({ err: error, what }, 'a row failed its authentication; its keys are left alone');
    }
    const revocations = [...abandoned, ...retiring].map(revocationOf);
    const rotations = [...unfinished.map(({ bucket }) => bucket), ...due];
    this.#backoff.retain(
      new Set([
        ...revocations,
        ...rotations.map(({ bucketUid }) => rotationOf(bucketUid)),
        ...rewraps.map(({ bucketUid }) => rewrapOf(bucketUid)),
      ]),
    );
    const seen = new Set(revocations);
    for (const what of this.#retiring.keys()) if (!seen.has(what)) this.#retiring.delete(what);
  }
}

const isDeclared = (bucket: BucketDocument, row: KeyVersionDocument): boolean =>
  bucket.kmsConnection === null || bucket.kmsConnection === row.kmsConnection;
const rotationOf = (bucketUid: Id): string => `rotate ${bucketUid}`;
const rewrapOf = (bucketUid: Id): string => `rewrap ${bucketUid}`;
const revocationOf = ({ bucketUid, n }: KeyVersionDocument): string => `revoke ${bucketUid}/${n}`;

/** What an outage, a race or a refusal looks like; anything else is a defect. */
function isExpected(error: unknown): error is Error {
  return [KmsError, MetadataError, RotationError, JobWaits].some((expected) => error instanceof expected);
}

function observerOf({ log, metrics }: Pick<KeyJobsOptions, 'log' | 'metrics'>): RewrapObserver {
  return {
    resealed: (kind, count) => metrics.resealed(kind, count),
    skipped: (count) => metrics.skipped(count),
    damaged: (place, error) => {
      metrics.damagedSeal();
      log.error({ ...place, err: error }, 'a sealed data key does not open: its key version cannot retire');
    },
  };
}
