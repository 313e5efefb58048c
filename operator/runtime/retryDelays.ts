/** How long a failed key waits: exponential for itself, and not too many tries of all keys per second. */
import { backoffMs, type Clock, type Random } from '../clock.ts';

export interface RetryScale {
  readonly firstMs: number;
  readonly longestMs: number;
  /** Retries of all keys together, after a burst of so many at once. */
  readonly perSecond: number;
  readonly burst: number;
}

export const RETRY_SCALE: RetryScale = { firstMs: 5, longestMs: 5 * 60_000, perSecond: 10, burst: 100 };

export class RetryDelays {
  readonly #scale: RetryScale;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #failures = new Map<string, number>();
  /** When the bucket of tokens will be full again, on the steady scale. */
  #fullAtMs = 0;

  constructor(clock: Clock, random: Random, scale: RetryScale) {
    this.#clock = clock;
    this.#random = random;
    this.#scale = scale;
  }

  /** Counts one more failure of the key and takes one try; the delay in ms. */
  next(key: string): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    return Math.max(backoffMs(failures, this.#scale, this.#random), this.#take());
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }

  #take(): number {
    const nowMs = this.#clock.steadyMs();
    const stepMs = 1_000 / this.#scale.perSecond;
    this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + stepMs;
    return Math.max(0, this.#fullAtMs - nowMs - this.#scale.burst * stepMs);
  }
}
