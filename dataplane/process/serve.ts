/**
 * One life of the data plane: starts its threads and ports in order, keeps its configuration, ends it in order.
 *
 * Owns the order and what the main thread does: control, admin, monitoring, garbage. It must not touch a request or
 * a key: those live in the other threads.
 */
import { dirname } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { createAdminServer } from '../admin/adminServer.ts';
import { createAdminSocket } from '../admin/adminSocket.ts';
import { Epochs } from '../admin/epochs.ts';
import { loadConfig } from '../config/config.ts';
import { ConfigError } from '../config/errors.ts';
import type { ListenAddress, LoadedConfig } from '../config/settings.ts';
import { newId } from '../crypto/ids.ts';
import { type KeyHolder, startKeyHolder } from '../keys/holder.ts';
import { KmsError } from '../keys/keys.ts';
import { createLogger, standardOutput } from '../log.ts';
import { type MetricsSource, registrySource } from '../monitoring/aggregate.ts';
import { createMonitoringServer, type Phase } from '../monitoring/monitoringServer.ts';
import { createProcessMetrics } from '../monitoring/processMetrics.ts';
import { registerStorageMetrics } from '../monitoring/storageMetrics.ts';
import { endingTimes } from './endingTimes.ts';
import { foldersOf, watchFolders } from './folders.ts';
import { sizeThreadPool, workerCount } from './host.ts';
import type { Jobs } from './jobs.ts';
import { flushKeys, jobsSettings, startJobs } from './jobsStart.ts';
import { endsWithin } from './limit.ts';
import { portOf } from './listener.ts';
import { workerSettings } from './messages.ts';
import { Reloader } from './reload.ts';
import { type Shutdown, watchShutdown } from './shutdown.ts';
import { collectStatus } from './status.ts';
import { startStorage } from './storage.ts';
import { productVersion } from './version.ts';
import { startWorkers, type Workers } from './workers.ts';

/** How long a scrape waits for a busy thread. */
const SCRAPE_TIMEOUT_MS = 2_000;
/** How often the configuration's files are read anew. */
const CONFIG_CHECK_MS = 5_000;
/** How often it is looked whether their folders changed, as mounted volumes do without a signal. */
const FOLDER_CHECK_MS = 500;

/**
 * Serves until SIGTERM or SIGINT, then drains; resolves to the exit code 0. Throws ConfigError before anything is
 * started. What fails later ends the process from inside, with code 1 after a line in the log.
 */
export async function serve(configFile: string): Promise<number> {
  const config = loadConfig(configFile);
  const { settings } = config;
  const workers = workerCount(settings.workers);
  sizeThreadPool(workers);
  // Whatever is made from here on, by any thread, is ours alone.
  process.umask(0o077);
  const log = createLogger({ level: settings.log.level, thread: 'main', destination: standardOutput() });
  const shutdown = watchShutdown(process, log);
  for (const warning of config.warnings) log.warn({ warning }, 'configuration warning');
  try {
    await live({ config, workers, log, shutdown });
  } catch (error) {
    shutdown.fail('main', error);
  }
  return 0;
}

interface Life {
  readonly config: LoadedConfig;
  readonly workers: number;
  readonly log: Logger;
  readonly shutdown: Shutdown;
}

async function live({ config, workers, log, shutdown }: Life): Promise<void> {
  const { settings } = config;
  // Start and end are logged at any level: supervisors and people wait for these lines.
  const lifecycle = log.child({}, { level: 'info' });
  const startedMs = Date.now();
  const incarnation = newId();
  const version = productVersion();
  const ending = new AsyncDisposableStack();
  let phase: Phase = 'starting';
  let reloader: Reloader | null = null;
  // From the first moment on: a SIGHUP that nobody handles kills.
  process.on('SIGHUP', () => void reloader?.check(true));

  const metrics = createProcessMetrics({ version, workers });
  const sources: MetricsSource[] = [registrySource('main', metrics.registry)];
  const monitoring = createMonitoringServer({
    phase: () => phase,
    sources: () => sources,
    log,
    scrapeTimeoutMs: SCRAPE_TIMEOUT_MS,
  });
  ending.defer(() => monitoring.close());
  const monitoringPort = await listen(monitoring, settings.monitoring.listen);

  const storage = await startStorage({ settings, incarnation, log, failed: shutdown.fail });
  ending.defer(() => storage.close());
  const onCollectorRun = registerStorageMetrics({
    registry: metrics.registry,
    stats: storage.stats,
    folders: { metadata: dirname(settings.metadata.path), blobs: settings.blobs.path },
  });

  const keys = await startKeyHolder({ connections: settings.kmsConnections, logger: log });
  ending.defer(() => keys.close());
  void keys.onDeath.then((error) => shutdown.fail('key-holder', error));
  sources.push({ name: 'key-holder', snapshot: () => keys.metrics() });

  const s3 = await startWorkers({
    count: workers,
    listen: settings.s3.listen,
    common: { ...storage.forWorkers, incarnation, settings: workerSettings(settings) },
    ports: () => ({ writerPort: storage.connect(), keysPort: keys.connect() }),
    failed: shutdown.fail,
  });
  sources.push(...s3.threads);
  const jobs = await startJobs({ settings, incarnation, storage, keys, failed: shutdown.fail });
  ending.defer(() => jobs.stop());
  sources.push(jobs);
  const openBodies = async (): Promise<string[]> =>
    (await Promise.all([...s3.threads, jobs].map((thread) => thread.openBodies()))).flat();
  const collector = storage.startCollector(openBodies, onCollectorRun);
  ending.defer(() => collector.stopped());

  const adminSocket = createAdminSocket(settings.admin.tls);
  const current = new Reloader({
    initial: config,
    load: (file, before) => loadConfig(file, { before }),
    apply: async (next) => {
      await apply(next, { keys, s3, jobs, log });
      if (next.settings.admin.tls !== null) adminSocket.setTls(next.settings.admin.tls);
    },
    metrics,
    log,
    now: Date.now,
  });
  reloader = current;
  const checks = setInterval(() => void current.check(false), CONFIG_CHECK_MS);
  ending.defer(() => clearInterval(checks));
  const folders = watchFolders(() => foldersOf(current.inForce));
  const looks = setInterval(() => {
    if (folders.changed()) void current.check(false);
  }, FOLDER_CHECK_MS);
  ending.defer(() => clearInterval(looks));

  const admin = createAdminServer({
    socket: adminSocket.server,
    tokens: () => current.inForce.settings.admin.tokens,
    keys: jobs.administration,
    accessKeys: jobs.administration,
    epochs: new Epochs(jobs.administration),
    flush: (connection) => flushKeys(keys, connection),
    status: (connection) =>
      collectStatus(
        { version, incarnation, startedMs, workers, phase: () => phase, reloader: current, keys },
        connection,
      ),
    log,
  });
  ending.defer(() => admin.close());
  const adminPort = await listen(admin, settings.admin.listen);

  phase = 'ready';
  lifecycle.info(
    {
      pid: process.pid,
      version,
      incarnation,
      workers,
      s3: origin(settings.s3.tls === null ? 'http' : 'https', settings.s3.listen, s3.port),
      admin: origin(settings.admin.tls === null ? 'http' : 'https', settings.admin.listen, adminPort),
      monitoring: origin('http', settings.monitoring.listen, monitoringPort),
    },
    'ready',
  );

  const signal = await shutdown.requested;
  phase = 'draining';
  lifecycle.info({ signal }, 'draining');
  collector.stop();
  const times = endingTimes(current.inForce.settings.shutdownLimitMs);
  const { cut } = await s3.drain(times);
  if (cut > 0) log.warn({ workers: cut, limitMs: times.drainMs }, 'requests were cut off at the drain limit');
  // Whoever sent the signal kills what does not end; it is safe, but nobody would know why.
  if (!(await endsWithin(ending.disposeAsync(), AbortSignal.timeout(times.closeMs))))
    log.warn({ limitMs: times.closeMs }, 'ending with work unfinished: the next start takes it up');
  lifecycle.info('stopped');
}

/** Puts a new configuration in force. Rejects with ConfigError, with nothing changed. */
async function apply(
  next: LoadedConfig,
  { keys, s3, jobs, log }: { keys: KeyHolder; s3: Workers; jobs: Jobs; log: Logger },
): Promise<void> {
  try {
    await keys.updateConnections(next.settings.kmsConnections);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    throw new ConfigError('Invalid', next.file, [{ path: 'kmsConnections', message: error.message }], {
      cause: error,
    });
  }
  s3.update(workerSettings(next.settings));
  jobs.update(jobsSettings(next.settings));
  log.level = next.settings.log.level;
}

/** Makes a fastify server listen; resolves to its port. */
async function listen(server: FastifyInstance, { host, port }: ListenAddress): Promise<number> {
  await server.listen({ host, port });
  return portOf(server.server);
}

function origin(scheme: 'http' | 'https', { host }: ListenAddress, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
