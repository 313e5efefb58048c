/** Adds up the metrics of all threads. */
import {
  AggregatorRegistry,
  type MetricObjectWithValues,
  type MetricValue,
  type Registry,
} from 'prom-client';

/** What Registry.getMetricsAsJSON gives; survives a message port. */
export type MetricsSnapshot = MetricObjectWithValues<MetricValue<string>>[];

/** One thread that can be asked for its metrics. */
export interface MetricsSource {
  readonly name: string;
  /** May reject, and may never answer. */
  snapshot(): Promise<MetricsSnapshot>;
}

/** Text for one scrape, and which sources did not answer in time: a thread that hangs must not hang the scrape. */
export interface Scrape {
  readonly text: string;
  readonly missing: readonly string[];
}

/** Scrapes the same sources again and again. */
export class Scraper {
  readonly #last = new WeakMap<MetricsSource, MetricsSnapshot>();

  /**
   * Asks every source at once and adds up what came within `timeoutMs`. One that did not answer counts with its last answer:
   * without it sums would fall and rise again, and Prometheus would take that for a reset and count everything twice.
   */
  async scrape(sources: readonly MetricsSource[], timeoutMs: number): Promise<Scrape> {
    const expired = AbortSignal.timeout(timeoutMs);
    const answered = await Promise.all(sources.map((source) => this.#answers(source, expired)));
    const missing = sources.filter((_, i) => answered[i] === false).map((source) => source.name);
    const snapshots = sources.map((source) => this.#last.get(source)).filter((one) => one !== undefined);
    const text = await AggregatorRegistry.aggregate(snapshots).metrics();
    const own =
      '# HELP sealgate_threads_not_answering Threads that did not answer this scrape; their counts are those of the last that they answered.\n' +
      '# TYPE sealgate_threads_not_answering gauge\n' +
      `sealgate_threads_not_answering ${missing.length}\n`;
    return { text: `${text}\n${own}`, missing };
  }

  /** Whether the source answered in time. An answer that comes later is kept too: the next scrape may get none. */
  async #answers(source: MetricsSource, expired: AbortSignal): Promise<boolean> {
    const late = Promise.withResolvers<false>();
    const giveUp = (): void => late.resolve(false);
    expired.addEventListener('abort', giveUp, { once: true });
    const kept = source.snapshot().then(
      (snapshot) => {
        this.#last.set(source, snapshot);
        return true;
      },
      () => false,
    );
    try {
      return await Promise.race([kept, late.promise]);
    } finally {
      expired.removeEventListener('abort', giveUp);
    }
  }
}

/** The source of a registry in this thread. */
export function registrySource(name: string, registry: Registry): MetricsSource {
  return { name, snapshot: async () => registry.getMetricsAsJSON() };
}
