import { PassThrough } from 'node:stream';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { type MetricsSource, registrySource, Scraper } from './aggregate.ts';
import { createMonitoringServer, type Phase } from './monitoringServer.ts';
import { createProcessMetrics } from './processMetrics.ts';
import { createS3Metrics } from './s3Metrics.ts';
import { registerStorageMetrics } from './storageMetrics.ts';

function worker(name: string): { source: MetricsSource; metrics: ReturnType<typeof createS3Metrics> } {
  const registry = new Registry();
  return { metrics: createS3Metrics(registry), source: registrySource(name, registry) };
}

const hanging: MetricsSource = { name: 's3-9', snapshot: () => new Promise(() => {}) };

test('the counts of all threads are added up', async () => {
  const [a, b] = [worker('s3-0'), worker('s3-1')];
  for (const { metrics } of [a, b]) {
    metrics.requestStarted();
    metrics.requestStarted();
    metrics.requestFinished({
      operation: 'PutObject',
      status: 200,
      durationMs: 30,
      bytesIn: 10,
      bytesOut: 2,
    });
    metrics.encryptionHeadersRefused('CreateBucket');
    metrics.integrityFailure('blob');
  }
  const { text, missing } = await new Scraper().scrape([a.source, b.source], 1_000);
  expect(missing).toEqual([]);
  const lines = text.split('\n');
  expect(lines).toEqual(
    expect.arrayContaining([
      'sealgate_s3_requests_total{operation="PutObject",status="200"} 2',
      'sealgate_s3_request_duration_seconds_bucket{le="0.025",operation="PutObject"} 0',
      'sealgate_s3_request_duration_seconds_bucket{le="0.05",operation="PutObject"} 2',
      'sealgate_s3_request_duration_seconds_sum{operation="PutObject"} 0.06',
      'sealgate_s3_received_bytes_total 20',
      'sealgate_s3_sent_bytes_total 4',
      'sealgate_s3_requests_in_flight 2',
      'sealgate_encryption_headers_refused_total{operation="CreateBucket"} 2',
      'sealgate_integrity_failures_total{subject="blob"} 2',
      'sealgate_integrity_failures_total{subject="record"} 0',
      'sealgate_threads_not_answering 0',
    ]),
  );
});

test('a thread that hangs or fails and never answered is left out and named, and does not hang the scrape', async () => {
  const { source, metrics } = worker('s3-0');
  metrics.integrityFailure('record');
  const failing: MetricsSource = { name: 's3-8', snapshot: () => Promise.reject(new Error('gone')) };
  const { text, missing } = await new Scraper().scrape([source, hanging, failing], 20);
  expect(missing).toEqual(['s3-9', 's3-8']);
  expect(text).toContain('sealgate_integrity_failures_total{subject="record"} 1');
  expect(text).toContain('sealgate_threads_not_answering 2');
});

test('a thread that hangs or fails after an answer counts with that answer, so that no counter falls', async () => {
  const answers: (() => ReturnType<MetricsSource['snapshot']>)[] = [];
  const { source, metrics } = worker('s3-0');
  for (let i = 0; i < 5; i += 1) metrics.integrityFailure('record');
  const moody: MetricsSource = { name: 's3-0', snapshot: () => answers.shift()?.() ?? source.snapshot() };
  const steady = worker('s3-1');
  steady.metrics.integrityFailure('record');
  const scraper = new Scraper();
  const count = async (): Promise<[number, readonly string[]]> => {
    const { text, missing } = await scraper.scrape([moody, steady.source], 20);
    expect(text).toContain(`sealgate_threads_not_answering ${missing.length}\n`);
    return [Number(/failures_total\{subject="record"\} (\d+)/.exec(text)?.[1]), missing];
  };
  expect(await count()).toEqual([6, []]);
  answers.push(
    () => hanging.snapshot(),
    () => Promise.reject(new Error('gone')),
  );
  expect(await count()).toEqual([6, ['s3-0']]);
  steady.metrics.integrityFailure('record');
  expect(await count()).toEqual([7, ['s3-0']]);
  metrics.integrityFailure('record');
  expect(await count()).toEqual([8, []]);
});

test('an answer that comes after its scrape counts in the next', async () => {
  const { source, metrics } = worker('s3-0');
  const late = Promise.withResolvers<Awaited<ReturnType<MetricsSource['snapshot']>>>();
  const answers = [late.promise, hanging.snapshot()];
  const slow: MetricsSource = { name: 's3-0', snapshot: () => answers.shift() ?? source.snapshot() };
  const scraper = new Scraper();
  metrics.integrityFailure('record');
  expect((await scraper.scrape([slow], 20)).text).not.toContain('subject="record"');
  late.resolve(await source.snapshot());
  expect((await scraper.scrape([slow], 20)).text).toContain('subject="record"} 1');
});

function monitoring(phase: Phase, sources: readonly MetricsSource[]) {
  const sink = new PassThrough({ encoding: 'utf8' });
  const log = createLogger({ level: 'info', thread: 'test', destination: sink });
  const server = createMonitoringServer({
    phase: () => phase,
    sources: () => sources,
    log,
    scrapeTimeoutMs: 20,
  });
  return { server, lines: () => String(sink.read() ?? '') };
}

test.each<[phase: Phase, status: number]>([
  ['starting', 503],
  ['ready', 200],
  ['draining', 503],
])('while %s, /readyz answers %i and /livez 200', async (phase, status) => {
  const { server } = monitoring(phase, []);
  expect(await server.inject('/readyz')).toMatchObject({ statusCode: status, body: `${phase}\n` });
  expect(await server.inject('/livez')).toMatchObject({ statusCode: 200, body: 'ok\n' });
});

test('/metrics shows the text, and a thread that hangs is in the log', async () => {
  const { server, lines } = monitoring('ready', [worker('s3-0').source, hanging]);
  const answer = await server.inject('/metrics');
  expect(answer.statusCode).toBe(200);
  expect(answer.headers['content-type']).toContain('text/plain; version=0.0.4');
  expect(answer.body).toContain('sealgate_threads_not_answering 1');
  expect(lines()).toContain('"missing":["s3-9"]');
});

test('everything else is not found', async () => {
  expect(await monitoring('ready', []).server.inject('/admin/v1/status')).toMatchObject({ statusCode: 404 });
});

test('the process counts configurations, and shows Node, version and the writer', async () => {
  const metrics = createProcessMetrics({ version: '9.9.9', workers: 3 });
  const stats = {
    queuedCommands: 1,
    queuedBytes: 2,
    groups: 3,
    committed: 4,
    refused: 5,
    checkpoints: 6,
    walBytes: 7,
  };
  const { registry } = metrics;
  const ran = registerStorageMetrics({
    registry,
    stats: () => stats,
    folders: { metadata: '/', blobs: '/tmp' },
  });
  ran({ items: 1, blobs: 2, open: 3, failed: 4, orphans: 5 });
  ran({ items: 1, blobs: 2, open: 3, failed: 4, orphans: 5 });
  metrics.configLoaded('applied');
  metrics.configLoaded('refused');
  const source = registrySource('main', registry);
  await new Scraper().scrape([source], 1_000);
  const { text } = await new Scraper().scrape([source], 1_000);
  for (const line of [
    'sealgate_build_info{version="9.9.9"} 1',
    'sealgate_workers 3',
    'sealgate_config_loads_total{result="applied"} 1',
    'sealgate_config_loads_total{result="refused"} 1',
    'sealgate_config_valid 0',
    'sealgate_metadata_queued_commands 1',
    'sealgate_metadata_wal_bytes 7',
    'sealgate_metadata_groups_total 3',
    'sealgate_metadata_committed_total 4',
    'sealgate_metadata_refused_total 5',
    'sealgate_metadata_checkpoints_total 6',
    'sealgate_storage_free_bytes{store="blobs"} ',
    'sealgate_collector_runs_total 2',
    'sealgate_collector_items_total 2',
    'sealgate_collector_blobs_total 4',
    'sealgate_collector_orphans_total 10',
    'sealgate_collector_failures_total 8',
    'process_resident_memory_bytes ',
  ]) {
    expect(text).toContain(`\n${line}`);
  }
});
