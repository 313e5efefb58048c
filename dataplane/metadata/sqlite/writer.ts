/**
 * The writer thread as the main thread sees it: start it, give each worker a port to it, watch it.
 *
 * Death of the thread, or a failed sync in it, is reported through `onDeath` and must end the process: commands that
 * were not answered stay unanswered, because nobody knows whether their commit is durable.
 */
import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { type Id, MetadataError } from '../metadata.ts';
import { type Greeting, QueueLoad } from './messages.ts';
import { type FromWriter, type ToWriter, type WriterThreadData, writerCounters } from './writerService.ts';

export interface WriterOptions {
  /** The SQLite file. Its folder exists and is locked by this process. */
  readonly path: string;
  readonly controlKey: KeyObject;
  /** This life of this process, noted before its first blob is written. */
  readonly incarnation: Id;
  /** Below this much free space in the folder of `path`, writes that store something are 'NoSpace'. */
  readonly freeSpaceReserveBytes: number;
  /** Bounds of the queue over all clients; beyond them 'Busy'. */
  readonly maxQueuedCommands?: number;
  readonly maxQueuedBytes?: number;
  /** Called once when the thread died or its disk failed: end the process. Never after close(). */
  readonly onDeath: (error: Error) => void;
}

export interface WriterStats {
  readonly queuedCommands: number;
  readonly queuedBytes: number;
  /** Transactions, and the commands committed and refused in them, since the start. */
  readonly groups: number;
  readonly committed: number;
  readonly refused: number;
  readonly checkpoints: number;
  readonly walBytes: number;
}

export interface WriterThread {
  /** A port for one client (openSqliteMetadata); transfer it to its worker. */
  connect(): MessagePort;
  stats(): WriterStats;
  /** Commits what waits and ends the thread. Close the clients first. */
  close(): Promise<void>;
}

const defaultQueuedCommands = 4_096;
const defaultQueuedBytes = 64 * 1024 * 1024;

type WriterSettings = Omit<WriterOptions, 'onDeath'>;

/** What the thread is started with. */
export function writerThreadData(settings: WriterSettings): WriterThreadData {
  const { path, controlKey, incarnation, freeSpaceReserveBytes } = settings;
  const cells = Object.keys(writerCounters).length;
  return {
    path,
    controlKey,
    incarnation,
    freeSpaceReserveBytes,
    load: QueueLoad.allocate(),
    counters: new SharedArrayBuffer(cells * BigInt64Array.BYTES_PER_ELEMENT),
  };
}

/** Ports and figures of a service that listens behind `send`. */
export function writerControls(
  send: (message: ToWriter, transfer: readonly MessagePort[]) => void,
  settings: WriterSettings,
  { load, counters }: WriterThreadData,
): Pick<WriterThread, 'connect' | 'stats'> {
  const greeting: Greeting = {
    kind: 'greeting',
    load,
    maxCommands: settings.maxQueuedCommands ?? defaultQueuedCommands,
    maxBytes: settings.maxQueuedBytes ?? defaultQueuedBytes,
  };
  const queue = new QueueLoad(greeting);
  const cells = new BigInt64Array(counters);
  const count = (name: keyof typeof writerCounters): number =>
    Number(Atomics.load(cells, writerCounters[name]));
  return {
    connect() {
      const { port1, port2 } = new MessageChannel();
      port1.postMessage(greeting);
      send({ kind: 'client', port: port1 }, [port1]);
      return port2;
    },
    stats: () => ({
      queuedCommands: queue.commands,
      queuedBytes: queue.bytes,
      groups: count('groups'),
      committed: count('committed'),
      refused: count('refused'),
      checkpoints: count('checkpoints'),
      walBytes: count('walBytes'),
    }),
  };
}

/** Starts the thread and waits until the schema is in place. Rejects with MetadataError when the file cannot be opened. */
export async function startWriter({ onDeath, ...settings }: WriterOptions): Promise<WriterThread> {
  const workerData = writerThreadData(settings);
  const worker = new Worker(new URL('./writerThread.ts', import.meta.url), {
    workerData,
    name: 'metadata-writer',
  });
  try {
    await once(worker, 'message');
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'unknown';
    throw new MetadataError('Unavailable', `the metadata at ${settings.path} cannot be opened: ${reason}`, {
      cause: error,
    });
  }

  let over = false;
  const die = (error: Error): void => {
    if (over) return;
    over = true;
    onDeath(error);
  };
  worker.on('error', die);
  worker.on('exit', () => die(new Error('the metadata writer ended')));
  worker.on('message', (message: FromWriter) => {
    if (message.kind === 'fatal') die(message.error);
  });
  const send = (message: ToWriter, transfer: readonly MessagePort[]): void =>
    worker.postMessage(message, transfer);
  return {
    ...writerControls(send, settings, workerData),
    async close() {
      if (over) return;
      over = true;
      const exit = once(worker, 'exit');
      send({ kind: 'close' }, []);
      await exit;
    },
  };
}
