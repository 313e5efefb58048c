/** An S3 worker thread as the main thread sees it. */
import { Worker } from 'node:worker_threads';
import type { Id } from '../metadata/metadata.ts';
import type { MetricsSnapshot, MetricsSource } from '../monitoring/aggregate.ts';
import type { EndingTimes } from './endingTimes.ts';
import type { FromWorker, ToWorker, WorkerSettings, WorkerStart } from './messages.ts';

const ENTRY = new URL('./workerThread.ts', import.meta.url);

/** A thread that ended, or never started, against our will. */
export type ThreadFailed = (thread: string, error: Error) => void;

export class S3Worker implements MetricsSource {
  readonly name: string;
  readonly #worker: Worker;
  /** Questions are answered in order. */
  readonly #openBodies: ((bodies: readonly Id[]) => void)[] = [];
  readonly #listening = Promise.withResolvers<number>();
  readonly #drained = Promise.withResolvers<{ cut: boolean }>();
  /** One question at a time: a thread that does not answer must not gather questions. */
  #scrape: PromiseWithResolvers<MetricsSnapshot> | null = null;
  #ending = false;

  /** Starts the thread. `failed` is called if it ends before drain() did. */
  constructor(start: WorkerStart, failed: ThreadFailed) {
    this.name = `s3-${start.index}`;
    this.#worker = new Worker(ENTRY, {
      name: this.name,
      workerData: start,
      transferList: [start.writerPort, start.keysPort],
    });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    const fail = (error: Error): void => {
      this.#listening.reject(error);
      this.#drained.reject(error);
      if (!this.#ending) failed(this.name, error);
      this.#ending = true;
    };
    // Whoever waits sees the failure; if nobody waits, `failed` has told.
    this.#listening.promise.catch(() => {});
    this.#drained.promise.catch(() => {});
    this.#worker.on('error', fail);
    this.#worker.on('exit', (code) => fail(new Error(`the thread ended with code ${code}`)));
  }

  /** Resolves to its port once it accepts connections. */
  listening(): Promise<number> {
    return this.#listening.promise;
  }

  update(settings: WorkerSettings): void {
    this.#send({ type: 'settings', settings });
  }

  snapshot(): Promise<MetricsSnapshot> {
    if (this.#scrape === null) {
      this.#scrape = Promise.withResolvers();
      this.#send({ type: 'metrics' });
    }
    return this.#scrape.promise;
  }

  /** The bodies that it is reading at some instant after this call. */
  openBodies(): Promise<readonly Id[]> {
    if (this.#ending) return Promise.resolve([]);
    const { promise, resolve } = Promise.withResolvers<readonly Id[]>();
    this.#openBodies.push(resolve);
    this.#send({ type: 'openBodies' });
    return promise;
  }

  /** Stops accepting, waits for requests in flight up to the limit, ends the thread. */
  async drain(times: Pick<EndingTimes, 'drainMs' | 'tellMs'>): Promise<{ cut: boolean }> {
    this.#send({ type: 'drain', times });
    const result = await this.#drained.promise;
    this.#ending = true;
    await this.#worker.terminate();
    // What has ended reads nothing any more.
    for (const answer of this.#openBodies.splice(0)) answer([]);
    return result;
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'listening':
        this.#listening.resolve(message.port);
        break;
      case 'metrics':
        this.#scrape?.resolve(message.snapshot);
        this.#scrape = null;
        break;
      case 'openBodies':
        this.#openBodies.shift()?.(message.bodies);
        break;
      case 'drained':
        this.#drained.resolve({ cut: message.cut });
        break;
    }
  }
}
