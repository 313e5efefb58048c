/**
 * Epochs of leaders: a mutation of a deposed leader must not take effect once its successor has been answered.
 *
 * Owns that order. There is one process on one data folder, and all mutations of the admin port pass through here: a new
 * epoch is made durable first, from then on mutations of other epochs are refused, and before it is told those of older
 * epochs that were let in earlier have ended. What such a mutation has begun in the background (a purge, a rewrap) goes on.
 */
import { AdminError } from './errors.ts';

export interface EpochStore {
  epoch(): Promise<number>;
  takeEpoch(holder: string): Promise<number>;
}

/** How long a new leader waits for the mutations of the old one; a KMS that hangs may hold one up. */
const LONGEST_WAIT_MS = 30_000;

interface Mutation {
  readonly epoch: number;
  readonly ended: Promise<unknown>;
}

export class Epochs {
  readonly #store: EpochStore;
  readonly #longestWaitMs: number;
  readonly #underWay = new Set<Mutation>();
  /** null: not read yet. */
  #newest: number | null = null;

  constructor(store: EpochStore, longestWaitMs = LONGEST_WAIT_MS) {
    this.#store = store;
    this.#longestWaitMs = longestWaitMs;
  }

  /**
   * Runs a mutation of that epoch. AdminError 'StaleEpoch' when it is not the newest: also for one that was never taken here,
   * which a leader has from before the metadata was restored. null, a person's, is always run.
   */
  async mutate<T>(epoch: number | null, work: () => Promise<T>): Promise<T> {
    if (epoch === null) return await work();
    const stored = this.#newest === null ? await this.#store.epoch() : 0;
    // From here to the call of `work` nothing else runs, so that no new epoch comes between.
    const newest = this.#learn(stored);
    if (epoch !== newest)
      throw new AdminError('StaleEpoch', `epoch ${epoch} is not the newest, which is ${newest}`);
    const running = work();
    const mutation = { epoch, ended: running.catch(() => undefined) };
    this.#underWay.add(mutation);
    try {
      return await running;
    } finally {
      this.#underWay.delete(mutation);
    }
  }

  /**
   * Takes the next epoch and resolves to it when no mutation of an older one can take effect any more. AdminError 'Busy' when
   * one is still under way after the longest wait: the epoch is spent, and asking again takes the next.
   */
  async take(holder: string): Promise<number> {
    const epoch = await this.#store.takeEpoch(holder);
    this.#learn(epoch);
    const older = [...this.#underWay].filter((mutation) => mutation.epoch < epoch);
    const waiting = new AbortController();
    const ended = await Promise.race([
      Promise.all(older.map((mutation) => mutation.ended)).then(() => true),
      this.#tooLong(waiting.signal),
    ]);
    waiting.abort();
    if (!ended)
      throw new AdminError('Busy', 'mutations of an older epoch are still under way: take the next one');
    return epoch;
  }

  #learn(epoch: number): number {
    this.#newest = Math.max(this.#newest ?? 0, epoch);
    return this.#newest;
  }

  async #tooLong(signal: AbortSignal): Promise<false> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#longestWaitMs);
      signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    return false;
  }
}
