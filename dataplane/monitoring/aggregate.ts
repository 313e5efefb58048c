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

/** Asks every source at once and adds up what came within `timeoutMs`. */
export async function scrape(sources: readonly MetricsSource[], timeoutMs: number): Promise<Scrape> {
  const expired = AbortSignal.timeout(timeoutMs);
  const answers = await Promise.all(sources.map((source) => answerOf(source, expired)));
  const missing = sources.filter((_, i) => answers[i] === null).map((source) => source.name);
  const merged = AggregatorRegistry.aggregate(answers.filter((answer) => answer !== null));
  const text = await merged.metrics();
  const own =
    '# HELP sealgate_threads_not_answering Threads that did not answer this scrape; their counts are missing from it.\n' +
    '# TYPE sealgate_threads_not_answering gauge\n' +
    `sealgate_threads_not_answering ${missing.length}\n`;
  return { text: `${text}\n${own}`, missing };
}

async function answerOf(source: MetricsSource, expired: AbortSignal): Promise<MetricsSnapshot | null> {
  const late = Promise.withResolvers<null>();
  const giveUp = (): void => late.resolve(null);
  expired.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([source.snapshot().catch(() => null), late.promise]);
  } finally {
    expired.removeEventListener('abort', giveUp);
  }
}

/** The source of a registry in this thread. */
export function registrySource(name: string, registry: Registry): MetricsSource {
  return { name, snapshot: async () => registry.getMetricsAsJSON() };
}
