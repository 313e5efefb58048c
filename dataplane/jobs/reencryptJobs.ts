/**
 * The re-encryptions of a process: who asked for which bucket, one bucket after the other, for as long as the process
 * lives. What is cut at any step is taken up again.
 *
 * Owns what is done next, and the report. It must not know HTTP, nor how a version is written anew.
 */
import { AdminError } from '../admin/errors.ts';
import type { ReencryptReport } from '../admin/keyAdministration.ts';
import { BlobError } from '../blobs/blobs.ts';
import { KmsError } from '../keys/keys.ts';
import { type BucketDocument, type BucketEntry, type Id, MetadataError } from '../metadata/metadata.ts';
import type { JobLog } from './jobLog.ts';
import { type ReencryptOptions, reencryptSlice } from './reencrypt.ts';
import { loadReencryptState, type ReencryptState, saveReencryptState } from './reencryptState.ts';

export interface ReencryptJobsOptions extends Omit<ReencryptOptions, 'damaged'> {
  readonly log: JobLog;
}

/** Between two looks at everything, and before what failed is tried again. */
const SURVEY_MS = 60_000;
/** For one bucket, before the next has its turn. */
const SLICE_MS = 10_000;
const PAGE = 500;

export class ReencryptJobs {
  readonly #options: ReencryptJobsOptions;
  /** Why the work on a bucket waits. */
  readonly #waits = new Map<Id, string>();
  #woken = new AbortController();

  constructor(options: ReencryptJobsOptions) {
    this.#options = options;
    options.signal.addEventListener('abort', () => this.wake(), { once: true });
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

  /** Looks at everything now instead of later. */
  wake(): void {
    this.#woken.abort();
  }

  /** One slice of every bucket that somebody asked for; resolves to how long nothing will need to be done, in milliseconds. */
  async round(): Promise<number> {
    const { log, metadata, signal } = this.#options;
    let more = false;
    let after = '';
    try {
      while (!signal.aborted) {
        const page: readonly BucketEntry[] = await metadata.listEveryBucket({ after, limit: PAGE });
        for (const { bucket } of page) {
          const usable = !(bucket instanceof MetadataError) && bucket.state === 'Ready';
          if (usable && (await this.#slice(bucket))) more = true;
        }
        const last = page.at(-1);
        if (last === undefined) break;
        after = last.name;
      }
    } catch (error) {
      if (!isExpected(error)) throw error;
      log.warn({ err: error }, 'the buckets to re-encrypt could not be read; they are read again later');
      return SURVEY_MS;
    }
    return more ? 0 : SURVEY_MS;
  }

  /**
   * Asks that every data key be replaced that is older than the bucket's current key version. Asking again while that is
   * under way changes nothing. Rejects with AdminError.
   */
  async request(name: string): Promise<ReencryptReport> {
    const { metadata, clock, log } = this.#options;
    const bucket = await this.#bucket(name);
    const { bucketUid, keyVersion: target } = bucket;
    if (target === null) throw new AdminError('NotEncrypted', `bucket ${name} has no key`);
    if (target === 1) {
      const why = 'nothing is older than its only key version: rotate the key first';
      throw new AdminError('NothingOlder', `bucket ${name}: ${why}`);
    }
    const known = await loadReencryptState(metadata, bucketUid);
    if (known === null || known.finishedMs !== null || known.target < target) {
      const counts = { after: null, damaged: 0, damagedBefore: 0, versions: 0, bytes: 0 };
      const state = { target, requestedMs: clock.wallMs(), finishedMs: null, ...counts };
      await saveReencryptState(metadata, bucketUid, state);
      log.info({ bucket: name, n: target }, 'a re-encryption was asked for');
    }
    this.#waits.delete(bucketUid);
    this.wake();
    return await this.report(name);
  }

  /** How far it is. Rejects with AdminError. */
  async report(name: string): Promise<ReencryptReport> {
    const { metadata } = this.#options;
    const { bucketUid } = await this.#bucket(name);
    const state = await loadReencryptState(metadata, bucketUid);
    if (state === null) throw new AdminError('NoReencryption', `nobody asked to re-encrypt bucket ${name}`);
    const remaining = await metadata.olderDataKeys(bucketUid, state.target);
    const message = state.finishedMs === null ? (this.#waits.get(bucketUid) ?? null) : null;
    return {
      bucket: name,
      state: state.finishedMs !== null ? 'Finished' : message === null ? 'Running' : 'Waiting',
      olderThan: state.target,
      requestedAt: new Date(state.requestedMs).toISOString(),
      finishedAt: state.finishedMs === null ? null : new Date(state.finishedMs).toISOString(),
      done: { versions: state.versions, bytes: state.bytes },
      remaining,
      damaged: Math.max(state.damaged, state.damagedBefore),
      message,
    };
  }

  async #bucket(name: string): Promise<BucketDocument> {
    const bucket = await this.#options.metadata.bucket(name);
    if (bucket?.state !== 'Ready') throw new AdminError('NoSuchBucket', `there is no bucket ${name}`);
    return bucket;
  }

  /** True when there is more to do at once. */
  async #slice(bucket: BucketDocument): Promise<boolean> {
    const { log, metadata } = this.#options;
    const { bucketUid, name } = bucket;
    const damaged: ReencryptOptions['damaged'] = (place, error) =>
      log.error({ ...place, err: error }, 'a version does not verify: it stays under its older data key');
    try {
      const before = await loadReencryptState(metadata, bucketUid);
      if (before === null || before.finishedMs !== null) return false;
      const outcome = await reencryptSlice({ ...this.#options, damaged }, bucket, SLICE_MS);
      if (outcome === 'left') this.#waits.set(bucketUid, await this.#whatIsLeft(bucketUid, before));
      else this.#waits.delete(bucketUid);
      if (outcome === 'finished') log.info({ bucket: name, n: before.target }, 'a bucket was re-encrypted');
      return outcome === 'more';
    } catch (error) {
      if (!isExpected(error)) throw error;
      this.#waits.set(bucketUid, error.message);
      log.warn({ err: error, bucket: name }, 'a re-encryption failed; it will be tried again');
      return false;
    }
  }

  async #whatIsLeft(bucketUid: Id, { target }: ReencryptState): Promise<string> {
    const { versions, uploads } = await this.#options.metadata.olderDataKeys(bucketUid, target);
    return `${versions} versions are to be looked at again, ${uploads} open uploads to be completed or aborted by their clients`;
  }
}

/** What an outage or a race looks like; anything else is a defect. */
function isExpected(error: unknown): error is Error {
  return [KmsError, MetadataError, BlobError].some((expected) => error instanceof expected);
}
