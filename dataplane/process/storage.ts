/** The storage engines as the main thread runs them: the lock, the writer thread, the collector. */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import type { Logger } from 'pino';
import { openFilesystemBlobs, prepareFilesystemBlobs } from '../blobs/filesystem.ts';
import type { Settings } from '../config/settings.ts';
import { controlKey } from '../crypto/control.ts';
import { type CollectorReport, startCollector } from '../jobs/collector.ts';
import type { Id } from '../metadata/metadata.ts';
import { lockDataFolder } from '../metadata/sqlite/dataFolder.ts';
import { openSqliteMetadata } from '../metadata/sqlite/sqliteMetadata.ts';
import { startWriter, type WriterStats } from '../metadata/sqlite/writer.ts';
import { freeSpaceReserveBytes } from './host.ts';
import type { WorkerStart } from './messages.ts';
import type { ThreadFailed } from './s3Worker.ts';

/** Between two runs of the collector. */
const COLLECTOR_INTERVAL_MS = 60_000;

export interface StorageOptions {
  readonly settings: Settings;
  readonly incarnation: Id;
  readonly log: Logger;
  readonly failed: ThreadFailed;
}

export interface RunningCollector {
  /** Takes up no more garbage. */
  stop(): void;
  /** Stops it; resolves when nothing of it runs any more. */
  stopped(): Promise<void>;
}

export interface Storage {
  readonly forWorkers: Pick<
    WorkerStart,
    'controlKey' | 'installationKey' | 'metadataPath' | 'blobsPath' | 'freeSpaceReserveBytes'
  >;
  /** A port to the writer, for one worker. */
  connect(): MessagePort;
  readonly stats: () => WriterStats;
  /** Starts collecting. `openBodies`: those that the workers read, asked anew each time; `onRun`: after each run. */
  startCollector(
    openBodies: () => Promise<readonly Id[]>,
    onRun: (report: CollectorReport) => void,
  ): RunningCollector;
  /** After the collector and the workers: a last checkpoint, and the lock is given up. */
  close(): Promise<void>;
}

/** Locks the data, brings the schema up to date, makes the folder of this incarnation. Rejects with MetadataError. */
export async function startStorage({ settings, incarnation, log, failed }: StorageOptions): Promise<Storage> {
  const { metadata, blobs, installation, gc } = settings;
  const dataFolder = dirname(metadata.path);
  // Both: two processes that share only the blobs would take each other's for orphans.
  const locks = [...new Set([dataFolder, blobs.path])].map((folder) => lockDataFolder(folder));
  prepareFilesystemBlobs({ path: blobs.path, incarnation });
  const key = controlKey(installation.key);
  const writer = await startWriter({
    path: metadata.path,
    controlKey: key,
    incarnation,
    freeSpaceReserveBytes: reserveOf(dataFolder),
    onDeath: (error) => failed('metadata-writer', error),
  });
  const own = openSqliteMetadata({ path: metadata.path, controlKey: key, writer: writer.connect() });
  const reserve = reserveOf(blobs.path);
  return {
    forWorkers: {
      controlKey: key,
      installationKey: installation.key,
      metadataPath: metadata.path,
      blobsPath: blobs.path,
      freeSpaceReserveBytes: reserve,
    },
    connect: () => writer.connect(),
    stats: () => writer.stats(),
    startCollector: (openBodies, onRun) => {
      const stop = new AbortController();
      const collector = startCollector({
        metadata: own,
        blobs: openFilesystemBlobs({
          path: blobs.path,
          incarnation,
          freeSpaceReserveBytes: reserve,
          onFatal: (error) => failed('blobs', error),
        }),
        incarnation,
        openBodies: async () => new Set(await openBodies()),
        graceMs: gc.graceMs,
        intervalMs: COLLECTOR_INTERVAL_MS,
        now: Date.now,
        log,
        onRun,
        signal: stop.signal,
      });
      return {
        stop: () => stop.abort(),
        stopped: () => {
          stop.abort();
          return collector.stopped();
        },
      };
    },
    close: async () => {
      await own.close();
      await writer.close();
      for (const lock of locks) lock.release();
    },
  };
}

function reserveOf(folder: string): number {
  const { blocks, bsize } = statfsSync(folder);
  return freeSpaceReserveBytes(blocks * bsize);
}
