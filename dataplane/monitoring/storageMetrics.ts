/** The writer's queue and the state of the store, read when scraped. */
import { Gauge, type Registry } from 'prom-client';
import type { WriterStats } from '../metadata/sqlite/writer.ts';

const METRICS: readonly (readonly [name: string, help: string, stat: keyof WriterStats])[] = [
  ['sealgate_metadata_queued_commands', 'Commands that wait for the metadata writer.', 'queuedCommands'],
  [
    'sealgate_metadata_queued_bytes',
    'Bytes of the commands that wait for the metadata writer.',
    'queuedBytes',
  ],
  ['sealgate_metadata_groups_total', 'Transactions of the metadata writer.', 'groups'],
  ['sealgate_metadata_committed_total', 'Commands committed.', 'committed'],
  ['sealgate_metadata_refused_total', 'Commands that failed a precondition.', 'refused'],
  ['sealgate_metadata_checkpoints_total', 'Checkpoints of the write-ahead log.', 'checkpoints'],
  ['sealgate_metadata_wal_bytes', 'Size of the write-ahead log.', 'walBytes'],
];

/** Registers gauges over `stats`. */
export function registerStorageMetrics(registry: Registry, stats: () => WriterStats): void {
  for (const [name, help, stat] of METRICS) {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(stats()[stat]);
      },
    });
  }
}
