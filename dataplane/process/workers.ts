/** The S3 worker threads: started on one port, given new settings, drained together. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { ListenAddress } from '../config/settings.ts';
import { createBalanceCounters } from './balance.ts';
import type { EndingTimes } from './endingTimes.ts';
import type { WorkerSettings, WorkerStart } from './messages.ts';
import { S3Worker, type ThreadFailed } from './s3Worker.ts';

/** What all workers are started with; the rest differs by worker. */
export type CommonStart = Omit<
  WorkerStart,
  'index' | 'listen' | 'sharedPort' | 'balance' | 'writerPort' | 'keysPort'
>;

export interface StartWorkersOptions {
  readonly count: number;
  readonly listen: ListenAddress;
  readonly common: CommonStart;
  /** A port of its own for each worker. */
  readonly ports: () => Pick<WorkerStart, 'writerPort' | 'keysPort'>;
  readonly failed: ThreadFailed;
}

export interface Workers {
  /** The port that all of them listen on. */
  readonly port: number;
  readonly threads: readonly S3Worker[];
  update(settings: WorkerSettings): void;
  /** Resolves when every worker ended; `cut`: how many still had requests in flight at the limit. */
  drain(times: Pick<EndingTimes, 'drainMs' | 'tellMs'>): Promise<{ readonly cut: number }>;
}

/** Starts the workers and resolves when all of them accept connections. */
export async function startWorkers(options: StartWorkersOptions): Promise<Workers> {
  const { count, listen, common, ports, failed } = options;
  const balance = createBalanceCounters(count);
  const sharedPort = count > 1;
  if (sharedPort) await assertFree(listen);
  const start = (index: number, port: number): S3Worker =>
    new S3Worker(
      { ...common, ...ports(), index, listen: { host: listen.host, port }, sharedPort, balance },
      failed,
    );
  const first = start(0, listen.port);
  // With port 0 the first worker finds the port and the others share it.
  const port = await first.listening();
  const threads = [first];
  for (let index = 1; index < count; index++) threads.push(start(index, port));
  await Promise.all(threads.map((thread) => thread.listening()));
  return {
    port,
    threads,
    update: (settings) => {
      for (const thread of threads) thread.update(settings);
    },
    drain: async (times) => {
      const results = await Promise.all(threads.map((thread) => thread.drain(times)));
      return { cut: results.filter((result) => result.cut).length };
    },
  };
}

/**
 * Rejects with EADDRINUSE when somebody listens there. With SO_REUSEPORT alone, a second Sealgate of the same user
 * would silently take half of the connections.
 */
async function assertFree(address: ListenAddress): Promise<void> {
  if (address.port === 0) return;
  const probe = createServer();
  const listening = once(probe, 'listening');
  probe.listen({ host: address.host, port: address.port });
  await listening;
  const closed = once(probe, 'close');
  probe.close();
  await closed;
}
