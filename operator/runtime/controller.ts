/**
 * Runs one reconciler: takes changes from caches, maps them to keys, and works on the keys with a few workers.
 *
 * Owns the life of the work, its retries and its reports. What to do about an object is the reconciler's.
 */
import type { Logger } from 'pino';
import type { Clock, Random } from '../clock.ts';
import type { CacheEvent, ObservedCache } from '../kube/cache.ts';
import { KubeError } from '../kube/kubeApi.ts';
import { keyOf, keyText } from '../kube/paths.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';
import { KeyQueue } from './queue.ts';
import type { QueueMetrics, ReconcileOutcome } from './queueMetrics.ts';
import type { Enqueue, Reconciler } from './reconciler.ts';
import { RETRY_SCALE } from './retryDelays.ts';

/** A conflict that lasts so many tries is worth a warning; before, it is the ordinary course. */
const CONFLICTS_WORTH_A_WARNING = 5;

export interface ControllerOptions {
  readonly reconciler: Reconciler;
  /** What the reconciler reads: nothing is reconciled before they are synced. */
  readonly caches: readonly ObservedCache[];
  readonly workers: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: QueueMetrics;
  /** One reconcile is told to stop after this. */
  readonly reconcileTimeoutMs?: number;
}

/** Which keys a change concerns. Both states of an updated object are asked about. */
export interface KeysOf {
  (object: KubeObject): Iterable<ObjectKey>;
}

/** Leaves out changes that concern nothing, such as a status that the reconciler wrote itself. */
export interface ChangeFilter {
  (event: CacheEvent): boolean;
}

export class Controller {
  readonly #options: ControllerOptions;
  readonly #log: Logger;
  readonly #queue: KeyQueue;
  readonly #sources: { cache: ObservedCache; keysOf: KeysOf; filter: ChangeFilter }[] = [];

  constructor(options: ControllerOptions) {
    this.#options = options;
    const { name } = options.reconciler;
    this.#log = options.log.child({ controller: name });
    this.#queue = new KeyQueue({
      name,
      clock: options.clock,
      random: options.random,
      metrics: options.metrics,
    });
  }

  /** From outside its own kinds' events. Before `run` keys wait. */
  readonly enqueue: Enqueue = (key) => this.#queue.add(key);

  /** Before `run`: changes of that cache lead to keys; without `keysOf` to the object's own. */
  watch(
    cache: ObservedCache,
    keysOf: KeysOf = (object) => [keyOf(object)],
    filter: ChangeFilter = () => true,
  ): void {
    this.#sources.push({ cache, keysOf, filter });
  }

  /**
   * Resolves after the signal aborts and the reconciles that run have ended. Runs once: another term needs another
   * controller.
   */
  async run(signal: AbortSignal): Promise<void> {
    const ends: (() => void)[] = [];
    const close = (): void => this.#queue.close();
    signal.addEventListener('abort', close, { once: true });
    if (signal.aborted) close();
    try {
      await this.#synced(signal);
      if (signal.aborted) return;
      for (const { cache, keysOf, filter } of this.#sources) {
        ends.push(cache.subscribe((event) => this.#changed(event, keysOf, filter)));
      }
      this.#log.info({ workers: this.#options.workers }, 'reconciling');
      await Promise.all(Array.from({ length: this.#options.workers }, () => this.#work(signal)));
    } finally {
      signal.removeEventListener('abort', close);
      for (const end of ends) end();
      close();
    }
  }

  async #synced(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all(this.#options.caches.map((cache) => cache.whenSynced(signal)));
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  #changed(event: CacheEvent, keysOf: KeysOf, filter: ChangeFilter): void {
    if (!filter(event)) return;
    const keys = [...(event.type === 'updated' ? keysOf(event.old) : []), ...keysOf(event.object)];
    // Once each: a worker that waits takes the first at once, and another add would have it look again.
    for (const key of new Map(keys.map((one) => [keyText(one), one])).values()) this.#queue.add(key);
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (let key = await this.#queue.next(); key !== null; key = await this.#queue.next()) {
      await this.#reconcile(key, signal);
      this.#queue.done(key);
    }
  }

  async #reconcile(key: ObjectKey, signal: AbortSignal): Promise<void> {
    const { reconciler, clock, metrics } = this.#options;
    const startedMs = clock.steadyMs();
    const limit = new AbortController();
    const cancel = clock.timer(this.#options.reconcileTimeoutMs ?? 120_000, () =>
      limit.abort(new DOMException('the reconcile took too long', 'TimeoutError')),
    );
    let outcome: ReconcileOutcome = 'success';
    try {
      const { requeueAfterMs } = await reconciler.reconcile(key, AbortSignal.any([signal, limit.signal]));
      this.#queue.forget(key);
      if (requeueAfterMs !== undefined) this.#queue.addAfter(key, requeueAfterMs);
    } catch (error) {
      outcome = this.#failed(key, error, signal);
    } finally {
      cancel();
      metrics.finished(reconciler.name, outcome, (clock.steadyMs() - startedMs) / 1_000);
    }
  }

  #failed(key: ObjectKey, error: unknown, signal: AbortSignal): ReconcileOutcome {
    const conflict = error instanceof KubeError && error.code === 'Conflict';
    const outcome = conflict ? 'conflict' : 'error';
    const object = keyText(key);
    if (signal.aborted) {
      this.#log.info({ object, err: error }, 'a reconcile was broken off');
      return outcome;
    }
    const toldMs = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    // Not for days, whatever stands in the answer of a proxy.
    const atLeastMs = Math.min(toldMs, RETRY_SCALE.longestMs);
    const delayMs = Math.round(this.#queue.retry(key, atLeastMs));
    const failures = this.#queue.failures(key);
    const fields = { object, failures, delayMs, err: error };
    if (conflict && failures < CONFLICTS_WORTH_A_WARNING)
      this.#log.debug(fields, 'the object had changed meanwhile');
    else this.#log.warn(fields, 'a reconcile failed: trying again');
    return outcome;
  }
}
