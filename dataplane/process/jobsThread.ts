/** The entry of the jobs thread: key jobs and the administration of keys; a read connection, a writer port, a key port. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { AdminError } from '../admin/errors.ts';
import { openFilesystemBlobs } from '../blobs/filesystem.ts';
import { blockRandom } from '../crypto/random.ts';
import { administerAccessKeys } from '../jobs/accessKeyAdministration.ts';
import { administer } from '../jobs/administration.ts';
import { Declarations } from '../jobs/declarations.ts';
import { systemJobClock } from '../jobs/jobClock.ts';
import { createKeyJobMetrics } from '../jobs/keyJobMetrics.ts';
import { KeyJobs } from '../jobs/keyJobs.ts';
import { Purges } from '../jobs/purge.ts';
import { ReencryptJobs } from '../jobs/reencryptJobs.ts';
import { Rotations } from '../jobs/rotations.ts';
import { connectKeyProvider } from '../keys/workerKeys.ts';
import { createLogger, standardOutput } from '../log.ts';
import { openSqliteMetadata } from '../metadata/sqlite/sqliteMetadata.ts';
import { ListKeys } from '../objects/listKeys.ts';
import type { Administration, AdministrationCall, FromJobs, JobsStart, ToJobs } from './jobsMessages.ts';
import { keyNamePrefixIn } from './keyNamePrefixes.ts';

async function runJobs(parent: MessagePort, start: JobsStart): Promise<void> {
  let { settings } = start;
  const { incarnation } = start;
  const log = createLogger({ level: settings.logLevel, thread: 'jobs', destination: standardOutput() });
  const registry = new Registry();
  const metrics = createKeyJobMetrics(registry);
  const metadata = openSqliteMetadata({
    path: start.metadataPath,
    controlKey: start.controlKey,
    writer: start.writerPort,
  });
  const keys = connectKeyProvider(start.keysPort);
  const clock = systemJobClock;
  const ending = new AbortController();
  const making = {
    metadata,
    keys,
    incarnation,
    now: () => clock.wallMs(),
    keyNamePrefix: (connection: string) => keyNamePrefixIn(settings.keyNamePrefixes, connection),
  };
  const tools = { random: blockRandom(), listKeys: new ListKeys() };
  const rotations = new Rotations({ making, metrics, log });
  const jobs = new KeyJobs({
    metadata,
    keys,
    tools,
    rotations,
    incarnation,
    clock,
    log,
    metrics,
    signal: ending.signal,
  });
  const blobs = openFilesystemBlobs({
    path: start.blobsPath,
    incarnation,
    freeSpaceReserveBytes: start.freeSpaceReserveBytes,
    onFatal: (error) => {
      log.fatal({ err: error }, 'a sync failed: ending');
      // Ends this thread at once; its death ends the process.
      process.exit(1);
    },
  });
  const { signal } = ending;
  const reencryptions = new ReencryptJobs({ metadata, blobs, keys, tools, clock, log, signal });
  const purges = new Purges({ metadata, clock, log, signal });
  const administration: Administration = {
    ...administer({
      metadata,
      keys,
      rotations,
      jobs,
      reencryptions,
      declarations: new Declarations({ making, purges, log }),
      settings: {
        region: () => settings.region,
        ownerId: () => settings.ownerId,
        hasConnection: (connection) => settings.keyNamePrefixes.has(connection),
      },
      log,
    }),
    ...administerAccessKeys({
      metadata,
      installationKey: start.installationKey,
      rootAccessKeyId: () => settings.rootAccessKeyId,
      random: tools.random,
      now: () => clock.wallMs(),
      log,
    }),
  };
  const send = (message: FromJobs): void => parent.postMessage(message);

  const answer = async (id: number, call: AdministrationCall): Promise<void> => {
    try {
      send({ type: 'answer', id, value: await carryOut(administration, call) });
    } catch (error) {
      const { code, message } = error instanceof AdminError ? error : { code: null, message: 'defect' };
      if (code === null) log.error({ err: error, call: call.name }, 'an administration call failed');
      send({ type: 'failure', id, code, message });
    }
  };
  const running = Promise.all([jobs.run(), reencryptions.run(), purges.run()]);
  const stop = async (): Promise<void> => {
    ending.abort();
    await running;
    await metadata.close();
    keys.close();
    send({ type: 'stopped' });
  };
  const receive = async (message: ToJobs): Promise<void> => {
    switch (message.type) {
      case 'settings':
        settings = message.settings;
        log.level = settings.logLevel;
        // A connection that was missing may be there now.
        jobs.wake();
        reencryptions.wake();
        break;
      case 'metrics':
        send({ type: 'metrics', snapshot: await registry.getMetricsAsJSON() });
        break;
      case 'openBodies':
        send({ type: 'openBodies', bodies: metadata.openBodies() });
        break;
      case 'call':
        await answer(message.id, message.call);
        break;
      case 'stop':
        await stop();
        break;
    }
  };
  // A rejection ends the thread, and with it the process.
  parent.on('message', (message: ToJobs) => void receive(message));
  send({ type: 'ready' });
  await running;
}

function carryOut(administration: Administration, call: AdministrationCall): Promise<unknown> {
  switch (call.name) {
    case 'buckets':
      return administration.buckets(...call.args);
    case 'bucket':
      return administration.bucket(...call.args);
    case 'rotate':
      return administration.rotate(...call.args);
    case 'reencrypt':
      return administration.reencrypt(...call.args);
    case 'reencryption':
      return administration.reencryption(...call.args);
    case 'setRotation':
      return administration.setRotation(...call.args);
    case 'keys':
      return administration.keys(...call.args);
    case 'destroyKey':
      return administration.destroyKey(...call.args);
    case 'accessKeys':
      return administration.accessKeys(...call.args);
    case 'accessKey':
      return administration.accessKey(...call.args);
    case 'putAccessKey':
      return administration.putAccessKey(...call.args);
    case 'deleteAccessKey':
      return administration.deleteAccessKey(...call.args);
    case 'declare':
      return administration.declare(...call.args);
    case 'remove':
      return administration.remove(...call.args);
    case 'connectionUse':
      return administration.connectionUse(...call.args);
    case 'epoch':
      return administration.epoch();
    case 'takeEpoch':
      return administration.takeEpoch(...call.args);
  }
}

if (parentPort !== null) await runJobs(parentPort, workerData as JobsStart);
