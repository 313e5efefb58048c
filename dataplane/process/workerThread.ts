/** The entry of an S3 worker thread: its own event loop, read connection and socket; writes and keys go over ports. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { accessKeyCredentials } from '../auth/accessKeyCredentials.ts';
import { openFilesystemBlobs } from '../blobs/filesystem.ts';
import { blockRandom } from '../crypto/random.ts';
import { connectKeyProvider } from '../keys/workerKeys.ts';
import { createLogger, standardOutput } from '../log.ts';
import { openSqliteMetadata } from '../metadata/sqlite/sqliteMetadata.ts';
import { createS3Metrics } from '../monitoring/s3Metrics.ts';
import { ListKeys } from '../objects/listKeys.ts';
import { createS3Server } from '../s3/server.ts';
import type { S3Services, S3Settings } from '../s3/services.ts';
import { joinBalance } from './balance.ts';
import type { EndingTimes } from './endingTimes.ts';
import { keyNamePrefixIn } from './keyNamePrefixes.ts';
import { endsWithin } from './limit.ts';
import { createListener } from './listener.ts';
import type { FromWorker, ToWorker, WorkerSettings, WorkerStart } from './messages.ts';

function s3Settings(settings: WorkerSettings, incarnation: string): S3Settings {
  return {
    region: settings.region,
    domains: settings.domains,
    policy: settings.policy,
    defaultKmsConnection: settings.defaultKmsConnection,
    installationId: settings.installationId,
    incarnation,
    keyNamePrefix: (connection) => keyNamePrefixIn(settings.keyNamePrefixes, connection),
  };
}

async function runWorker(parent: MessagePort, start: WorkerStart): Promise<void> {
  let settings = start.settings;
  let s3 = s3Settings(settings, start.incarnation);
  const log: Logger = createLogger({
    level: settings.logLevel,
    thread: `s3-${start.index}`,
    destination: standardOutput(),
  });
  const registry = new Registry();
  const metadata = openSqliteMetadata({
    path: start.metadataPath,
    controlKey: start.controlKey,
    writer: start.writerPort,
  });
  const accessKeys = accessKeyCredentials({
    metadata,
    installationKey: start.installationKey,
    ownerId: settings.root.ownerId,
    now: Date.now,
  });
  const services: S3Services = {
    get settings() {
      return s3;
    },
    // The root's requests read no row.
    credentials: (accessKeyId) =>
      accessKeyId === settings.root.accessKeyId
        ? { ...settings.root, rights: 'everything' }
        : accessKeys(accessKeyId),
    metadata,
    random: blockRandom(),
    listKeys: new ListKeys(),
    blobs: openFilesystemBlobs({
      path: start.blobsPath,
      incarnation: start.incarnation,
      freeSpaceReserveBytes: start.freeSpaceReserveBytes,
      onFatal: (error) => {
        log.fatal({ err: error }, 'a sync failed: ending');
        // Ends this thread at once, before it can answer anybody; its death ends the process.
        process.exit(1);
      },
    }),
    keys: connectKeyProvider(start.keysPort),
    log,
    metrics: createS3Metrics(registry),
    balance: joinBalance(start.balance, start.index),
    now: Date.now,
  };
  const s3Server = createS3Server(services);
  const { server } = s3Server;
  const listener = createListener(server, settings.tls);
  const send = (message: FromWorker): void => parent.postMessage(message);

  const drain = async ({ drainMs, tellMs }: Pick<EndingTimes, 'drainMs' | 'tellMs'>): Promise<void> => {
    listener.close();
    const drained = s3Server.drain();
    const cut = !(await endsWithin(drained, AbortSignal.timeout(drainMs)));
    if (cut) {
      s3Server.refuseBodies();
      await endsWithin(drained, AbortSignal.timeout(tellMs));
    }
    server.closeAllConnections();
    await metadata.close();
    send({ type: 'drained', cut });
  };

  const receive = async (message: ToWorker): Promise<void> => {
    switch (message.type) {
      case 'settings':
        settings = message.settings;
        s3 = s3Settings(settings, start.incarnation);
        log.level = settings.logLevel;
        if (settings.tls !== null) listener.setTls(settings.tls);
        break;
      case 'metrics':
        send({ type: 'metrics', snapshot: await registry.getMetricsAsJSON() });
        break;
      case 'openBodies':
        send({ type: 'openBodies', bodies: metadata.openBodies() });
        break;
      case 'drain':
        await drain(message.times);
        break;
    }
  };
  // A rejection ends the thread, and with it the process.
  parent.on('message', (message: ToWorker) => void receive(message));
  send({ type: 'listening', port: await listener.listen(start.listen, start.sharedPort) });
}

if (parentPort !== null) await runWorker(parentPort, workerData as WorkerStart);
