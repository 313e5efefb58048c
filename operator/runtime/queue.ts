/**
 * The keys that a controller has to look at. A key is in it once however often it is added; it is never with two
 * workers at once; added while it is being worked on, it comes again afterwards (client-go's workqueue).
 *
 * Owns order, delays and retries. It knows nothing of objects.
 */
import type { Clock, Random } from '../clock.ts';
import { keyText } from '../kube/paths.ts';
import type { ObjectKey } from '../kube/resource.ts';
import type { QueueMetrics } from './queueMetrics.ts';
import { RETRY_SCALE, RetryDelays, type RetryScale } from './retryDelays.ts';

/** A longer wait is cut to this: looking too early does no harm, a timer that overflows does. */
const LONGEST_DELAY_MS = 24 * 3_600_000;

export interface KeyQueueOptions {
  /** The controller's, for metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: QueueMetrics;
  readonly retries?: RetryScale;
}

interface Delayed {
  readonly atMs: number;
  readonly cancel: () => void;
}

export class KeyQueue {
  readonly #options: KeyQueueOptions;
  readonly #delays: RetryDelays;
  /** Ready keys in order, with the time of their first add. */
  readonly #ready = new Map<string, { readonly key: ObjectKey; readonly addedMs: number }>();
  readonly #working = new Set<string>();
  /** Added again while being worked on. */
  readonly #again = new Map<string, { readonly key: ObjectKey; readonly addedMs: number }>();
  readonly #delayed = new Map<string, Delayed>();
  readonly #waiting: ((key: ObjectKey | null) => void)[] = [];
  #closed = false;

  constructor(options: KeyQueueOptions) {
    this.#options = options;
    this.#delays = new RetryDelays(options.clock, options.random, options.retries ?? RETRY_SCALE);
    options.metrics.depth(options.name, 0);
  }

  /** To be looked at as soon as a worker is free. */
  add(key: ObjectKey): void {
    if (this.#closed) return;
    const text = keyText(key);
    this.#undelay(text);
    const entry = { key, addedMs: this.#options.clock.steadyMs() };
    if (this.#working.has(text)) {
      if (!this.#again.has(text)) this.#again.set(text, entry);
      return;
    }
    if (this.#ready.has(text)) return;
    this.#ready.set(text, entry);
    this.#hand();
  }

  /** To be looked at after that time, unless it is looked at before; of two delays the shorter counts. */
  addAfter(key: ObjectKey, delayMs: number): void {
    if (this.#closed) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const text = keyText(key);
    if (this.#ready.has(text) || this.#again.has(text)) return;
    const atMs = this.#options.clock.steadyMs() + Math.min(delayMs, LONGEST_DELAY_MS);
    const present = this.#delayed.get(text);
    if (present !== undefined && present.atMs <= atMs) return;
    present?.cancel();
    const cancel = this.#options.clock.timer(Math.min(delayMs, LONGEST_DELAY_MS), () => this.add(key));
    this.#delayed.set(text, { atMs, cancel });
  }

  /** After a failure: with exponential backoff, not before `atLeastMs`. The delay in ms. */
  retry(key: ObjectKey, atLeastMs = 0): number {
    const delayMs = Math.max(atLeastMs, this.#delays.next(keyText(key)));
    this.#options.metrics.retried(this.#options.name);
    this.addAfter(key, delayMs);
    return delayMs;
  }

  /** How often a key was retried since `forget`. */
  failures(key: ObjectKey): number {
    return this.#delays.failures(keyText(key));
  }

  /** After a success: the next failure is the first again. */
  forget(key: ObjectKey): void {
    this.#delays.forget(keyText(key));
  }

  /** The next key, when there is one; null: the queue is closed. `done` must follow. */
  next(): Promise<ObjectKey | null> {
    if (this.#closed) return Promise.resolve(null);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#hand();
    });
  }

  /** The work on a key has ended. */
  done(key: ObjectKey): void {
    const text = keyText(key);
    this.#working.delete(text);
    const again = this.#again.get(text);
    if (again === undefined || this.#closed) return;
    this.#again.delete(text);
    this.#undelay(text);
    this.#ready.set(text, again);
    this.#hand();
  }

  get depth(): number {
    return this.#ready.size;
  }

  /** Takes and gives nothing any more; what is being worked on goes on. */
  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#ready.clear();
    this.#again.clear();
    for (const resolve of this.#waiting.splice(0)) resolve(null);
    this.#options.metrics.depth(this.#options.name, 0);
  }

  #undelay(text: string): void {
    this.#delayed.get(text)?.cancel();
    this.#delayed.delete(text);
  }

  #hand(): void {
    const { metrics, name, clock } = this.#options;
    while (this.#waiting.length > 0) {
      const [first] = this.#ready;
      if (first === undefined) break;
      const [text, { key, addedMs }] = first;
      this.#ready.delete(text);
      this.#working.add(text);
      metrics.started(name, (clock.steadyMs() - addedMs) / 1_000);
      this.#waiting.shift()?.(key);
    }
    metrics.depth(name, this.#ready.size);
  }
}
