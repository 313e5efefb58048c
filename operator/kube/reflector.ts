/**
 * Keeps a cache equal to what the API server has, for one kind: lists, watches, and goes on where it was when a watch
 * ends, breaks, falls silent or is too far behind.
 *
 * Owns when to list and when to watch. It never ends by itself; an error is logged, counted and waited out.
 */
import type { Logger } from 'pino';
import { backoffMs, type Clock, type Random, wait } from '../clock.ts';
import type { ApiMetrics } from './apiMetrics.ts';
import { ALL_NAMESPACES, type ObjectCache } from './cache.ts';
import { KubeError } from './kubeApi.ts';
import { listAll } from './listAll.ts';
import { resourceName } from './paths.ts';
import { SilenceLimit } from './silenceLimit.ts';
import type { Selection, WatchApi } from './watchApi.ts';

export interface ReflectorOptions {
  readonly api: WatchApi;
  readonly cache: ObjectCache;
  /** Those of the cache: each is listed and watched by itself. Undefined: all at once. */
  readonly namespaces?: readonly string[] | undefined;
  readonly labelSelector?: string;
  readonly metadataOnly?: boolean;
  /** Whether a namespace that may not be read counts as empty, until it may; default: it is waited for. */
  readonly forbiddenIsEmpty?: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: ApiMetrics;
  readonly times?: Partial<ReflectorTimes>;
}

export interface ReflectorTimes {
  /** A watch is asked to end at a random time between these, as client-go does: it spreads them over servers. */
  readonly shortestWatchMs: number;
  readonly longestWatchMs: number;
  /** A full list replaces the cache this often even when no watch complained; Infinity: never. */
  readonly relistMs: number;
  /** A watch without event or bookmark for so long is given up; the next one loses nothing. */
  readonly silenceMs: number;
  /** A watch that the server ends sooner than this, without a word, counts as failed. */
  readonly tooShortMs: number;
  readonly backoff: { readonly firstMs: number; readonly longestMs: number };
}

const TIMES: ReflectorTimes = {
  shortestWatchMs: 5 * 60_000,
  longestWatchMs: 10 * 60_000,
  relistMs: 10 * 60_000,
  // Bookmarks come about every minute, but not before the first event after a start of the API server.
  silenceMs: 3 * 60_000,
  tooShortMs: 1_000,
  backoff: { firstMs: 800, longestMs: 30_000 },
};

/** What the server asks to wait is heeded up to here: a cache that hears nothing for longer misleads a leader. */
const LONGEST_TOLD_MS = 2 * 60_000;

export class Reflector {
  readonly #options: ReflectorOptions;

  constructor(options: ReflectorOptions) {
    this.#options = options;
  }

  /** Resolves only after the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const scopes = this.#options.namespaces ?? [ALL_NAMESPACES];
    await Promise.all(scopes.map((scope) => new ScopeReflector(this.#options, scope).run(signal)));
  }
}

/** One namespace, or all at once. */
class ScopeReflector {
  readonly #options: ReflectorOptions;
  readonly #times: ReflectorTimes;
  readonly #scope: string;
  readonly #selection: Selection;
  readonly #resource: string;
  /** Where the next watch begins; null: list first. */
  #resourceVersion: string | null = null;
  #relistAtMs = 0;
  /** The cache has been told something of this scope. */
  #listed = false;
  #failures = 0;

  constructor(options: ReflectorOptions, scope: string) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#scope = scope;
    this.#selection = {
      namespace: scope === ALL_NAMESPACES ? undefined : scope,
      labelSelector: options.labelSelector,
      metadataOnly: options.metadataOnly,
    };
    this.#resource = resourceName(options.cache.type);
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        const version = this.#resourceVersion ?? (await this.#list(signal));
        await this.#watch(version, signal);
      } catch (error) {
        if (!signal.aborted) await this.#failed(error, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { api, cache, clock, metrics } = this.#options;
    const { items, resourceVersion } = await listAll(api, cache.type, this.#selection, signal);
    cache.replace(this.#scope, items);
    this.#listed = true;
    metrics.listed(this.#resource);
    this.#resourceVersion = resourceVersion;
    this.#relistAtMs = clock.steadyMs() + this.#times.relistMs;
    return resourceVersion;
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { api, cache, clock, metrics } = this.#options;
    const startedMs = clock.steadyMs();
    const silence = new SilenceLimit(clock, this.#times.silenceMs, signal);
    const from = { resourceVersion, timeoutSeconds: this.#timeoutSeconds(startedMs) };
    let events = 0;
    try {
      for await (const line of api.watch(cache.type, this.#selection, from, silence.signal)) {
        silence.heard();
        events += 1;
        this.#failures = 0;
        if (line.type === 'bookmark') this.#resourceVersion = line.resourceVersion;
        else this.#change(line);
      }
    } catch (error) {
      if (!silence.exceeded) throw error;
    } finally {
      silence.end();
    }
    if (signal.aborted) return;
    if (silence.exceeded) {
      metrics.watchEnded(this.#resource, 'silent');
      this.#options.log.info({ resource: this.#resource }, 'a watch fell silent: watching anew');
      return;
    }
    if (events === 0 && clock.steadyMs() - startedMs < this.#times.tooShortMs) {
      throw new KubeError('Unavailable', `watch ${this.#resource}: ended at once`);
    }
    metrics.watchEnded(this.#resource, 'timeout');
    this.#failures = 0;
    if (clock.steadyMs() >= this.#relistAtMs) this.#resourceVersion = null;
  }

  /** So that one namespace that is gone, with the rights in it, does not keep the others from being served. */
  #countAsEmpty(error: unknown): void {
    const { cache, forbiddenIsEmpty = false } = this.#options;
    const forbidden = error instanceof KubeError && error.code === 'Forbidden';
    if (!forbiddenIsEmpty || !forbidden || this.#listed || this.#scope === ALL_NAMESPACES) return;
    this.#listed = true;
    cache.replace(this.#scope, []);
  }

  #change(line: {
    readonly type: 'changed' | 'deleted';
    readonly object: Parameters<ObjectCache['upsert']>[0];
  }): void {
    const { cache } = this.#options;
    if (line.type === 'deleted') cache.remove(line.object);
    else cache.upsert(line.object);
    const version = line.object.metadata.resourceVersion;
    if (version !== undefined) this.#resourceVersion = version;
  }

  /** Whole seconds, at least one; not beyond the time of the next full list. */
  #timeoutSeconds(nowMs: number): number {
    const { shortestWatchMs, longestWatchMs } = this.#times;
    const chosenMs = shortestWatchMs + this.#options.random() * (longestWatchMs - shortestWatchMs);
    return Math.max(1, Math.ceil(Math.min(chosenMs, this.#relistAtMs - nowMs) / 1_000));
  }

  async #failed(error: unknown, signal: AbortSignal): Promise<void> {
    const { clock, random, log, metrics } = this.#options;
    const expired = error instanceof KubeError && error.code === 'Expired';
    if (expired) this.#resourceVersion = null;
    metrics.watchEnded(this.#resource, expired ? 'expired' : 'failed');
    this.#failures += 1;
    const told = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const toldMs = Math.min(told, LONGEST_TOLD_MS);
    const waitMs = Math.max(toldMs, backoffMs(this.#failures, this.#times.backoff, random));
    const fields = { resource: this.#resource, err: error, waitMs: Math.round(waitMs) };
    this.#countAsEmpty(error);
    if (expired) log.info(fields, 'a watch is too far behind: listing anew');
    else log.warn(fields, 'the API server could not be listed or watched: trying again');
    await wait(clock, waitMs, signal);
  }
}
