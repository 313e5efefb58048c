/** Metrics of the store: the writer's queue, free space, and what the collector did. */
import { statfs } from 'node:fs/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { CollectorReport } from '../jobs/collector.ts';
import type { WriterStats } from '../metadata/sqlite/writer.ts';

type WriterMetric = readonly [name: string, help: string, stat: keyof WriterStats];

const WRITER_GAUGES: readonly WriterMetric[] = [
  ['sealgate_metadata_queued_commands', 'Commands that wait for the metadata writer.', 'queuedCommands'],
  [
    'sealgate_metadata_queued_bytes',
    'Bytes of the commands that wait for the metadata writer.',
    'queuedBytes',
  ],
  ['sealgate_metadata_wal_bytes', 'Size of the write-ahead log.', 'walBytes'],
];

const WRITER_COUNTERS: readonly WriterMetric[] = [
  ['sealgate_metadata_groups_total', 'Transactions of the metadata writer.', 'groups'],
  ['sealgate_metadata_committed_total', 'Commands committed.', 'committed'],
  ['sealgate_metadata_refused_total', 'Commands that failed a precondition or were refused.', 'refused'],
  ['sealgate_metadata_checkpoints_total', 'Checkpoints of the write-ahead log.', 'checkpoints'],
];

const COLLECTOR_COUNTERS: readonly (readonly [name: string, help: string, count: keyof CollectorReport])[] = [
  ['sealgate_collector_items_total', 'Unreferenced bodies and parts removed.', 'items'],
  ['sealgate_collector_blobs_total', 'Blobs deleted because nothing referred to them any more.', 'blobs'],
  [
    'sealgate_collector_orphans_total',
    'Blobs deleted that a dead process had left without a row.',
    'orphans',
  ],
  ['sealgate_collector_failures_total', 'Items that could not be removed; they are tried again.', 'failed'],
];

export interface StorageMetricsOptions {
  readonly registry: Registry;
  readonly stats: () => WriterStats;
  /** Folders by what they hold. */
  readonly folders: { readonly metadata: string; readonly blobs: string };
}

/** Registers the metrics; the returned function counts a run of the collector. */
export function registerStorageMetrics({
  registry,
  stats,
  folders,
}: StorageMetricsOptions): (report: CollectorReport) => void {
  const registers = [registry];
  for (const [name, help, stat] of WRITER_GAUGES) {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(stats()[stat]);
        },
      }),
    );
  }
  for (const [name, help, stat] of WRITER_COUNTERS) {
    registry.registerMetric(
      new Counter({
        name,
        help,
        registers: [],
        collect() {
          this.reset();
          this.inc(stats()[stat]);
        },
      }),
    );
  }
  registry.registerMetric(
    new Gauge({
      name: 'sealgate_storage_free_bytes',
      help: 'Free space where metadata and blobs lie.',
      labelNames: ['store'] as const,
      registers: [],
      async collect() {
        for (const [store, folder] of Object.entries(folders)) {
          const { bavail, bsize } = await statfs(folder);
          this.set({ store }, bavail * bsize);
        }
      },
    }),
  );
  const runs = new Counter({
    name: 'sealgate_collector_runs_total',
    help: 'Complete runs of the collector.',
    registers,
  });
  const counters = COLLECTOR_COUNTERS.map(
    ([name, help, count]) => [new Counter({ name, help, registers }), count] as const,
  );
  return (report) => {
    runs.inc();
    for (const [counter, count] of counters) counter.inc(report[count]);
  };
}
