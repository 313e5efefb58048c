/** A clock that stands still until a test moves it. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from './clock.ts';

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class TestClock implements Clock {
  #nowMs = 1_000_000;
  readonly #timers = new Set<Timer>();

  wallMs(): number {
    return Date.UTC(2030, 0, 1) + this.#nowMs;
  }

  steadyMs(): number {
    return this.#nowMs;
  }

  timer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How long until the next timer; undefined: nothing waits. */
  get nextDelayMs(): number | undefined {
    const next = this.#next();
    return next === undefined ? undefined : next.atMs - this.#nowMs;
  }

  /** Runs everything that is due within that time, in order, and what it sets off. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settle();
    for (let next = this.#next(); next !== undefined && next.atMs <= untilMs; next = this.#next()) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      this.#timers.delete(next);
      next.callback();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #next(): Timer | undefined {
    return [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
  }
}

/** Lets promises and their followers run; none of them may wait for the outside. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 3; round += 1) await setImmediate();
}
