/** The jobs thread as the main thread sees it: calls of the administration go over, answers come back. */
import { Worker } from 'node:worker_threads';
import { AdminError } from '../admin/errors.ts';
import type { Id } from '../metadata/metadata.ts';
import type { MetricsSnapshot, MetricsSource } from '../monitoring/aggregate.ts';
import type {
  Administration,
  AdministrationCall,
  FromJobs,
  JobsSettings,
  JobsStart,
  ToJobs,
} from './jobsMessages.ts';
import type { ThreadFailed } from './s3Worker.ts';

const ENTRY = new URL('./jobsThread.ts', import.meta.url);

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Jobs implements MetricsSource {
  readonly name = 'jobs';
  readonly administration: Administration;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  /** One question at a time: a thread that does not answer must not gather questions. */
  #scrape: PromiseWithResolvers<MetricsSnapshot> | null = null;
  readonly #openBodies: ((bodies: readonly Id[]) => void)[] = [];
  #lastId = 0;
  #ending = false;

  /** Starts the thread. `failed` is called if it ends before stop() did. */
  constructor(start: JobsStart, failed: ThreadFailed) {
    this.#worker = new Worker(ENTRY, {
      name: this.name,
      workerData: start,
      transferList: [start.writerPort, start.keysPort],
    });
    const fail = (error: Error): void => {
      this.#ready.reject(error);
      this.#stopped.reject(error);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
      if (!this.#ending) failed(this.name, error);
      this.#ending = true;
    };
    // Whoever waits sees the failure; if nobody waits, `failed` has told.
    this.#ready.promise.catch(() => {});
    this.#stopped.promise.catch(() => {});
    this.#worker.on('message', (message: FromJobs) => this.#receive(message));
    this.#worker.on('error', fail);
    this.#worker.on('exit', (code) => fail(new Error(`the thread ended with code ${code}`)));
    this.administration = {
      buckets: (...args) => this.#call({ name: 'buckets', args }),
      bucket: (...args) => this.#call({ name: 'bucket', args }),
      rotate: (...args) => this.#call({ name: 'rotate', args }),
      reencrypt: (...args) => this.#call({ name: 'reencrypt', args }),
      reencryption: (...args) => this.#call({ name: 'reencryption', args }),
      setRotation: (...args) => this.#call({ name: 'setRotation', args }),
      keys: (...args) => this.#call({ name: 'keys', args }),
      destroyKey: (...args) => this.#call({ name: 'destroyKey', args }),
      accessKeys: (...args) => this.#call({ name: 'accessKeys', args }),
      accessKey: (...args) => this.#call({ name: 'accessKey', args }),
      putAccessKey: (...args) => this.#call({ name: 'putAccessKey', args }),
      deleteAccessKey: (...args) => this.#call({ name: 'deleteAccessKey', args }),
      declare: (...args) => this.#call({ name: 'declare', args }),
      remove: (...args) => this.#call({ name: 'remove', args }),
      connectionUse: (...args) => this.#call({ name: 'connectionUse', args }),
      epoch: (...args) => this.#call({ name: 'epoch', args }),
      takeEpoch: (...args) => this.#call({ name: 'takeEpoch', args }),
    };
  }

  /** Resolves once it works. */
  ready(): Promise<void> {
    return this.#ready.promise;
  }

  update(settings: JobsSettings): void {
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

  /** Ends it after the step under way; what is not finished goes on in the next life of the process. */
  async stop(): Promise<void> {
    this.#send({ type: 'stop' });
    await this.#stopped.promise;
    this.#ending = true;
    await this.#worker.terminate();
    // What has ended reads nothing any more.
    for (const answer of this.#openBodies.splice(0)) answer([]);
  }

  async #call<T>(call: AdministrationCall): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    return await new Promise<T>((resolve, reject) => {
      // The thread is our own code: an answer to a call has that call's type.
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#send({ type: 'call', id, call });
    });
  }

  #send(message: ToJobs): void {
    this.#worker.postMessage(message);
  }

  #receive(message: FromJobs): void {
    switch (message.type) {
      case 'ready':
        this.#ready.resolve();
        break;
      case 'metrics':
        this.#scrape?.resolve(message.snapshot);
        this.#scrape = null;
        break;
      case 'openBodies':
        this.#openBodies.shift()?.(message.bodies);
        break;
      case 'answer':
        this.#settle(message.id)?.resolve(message.value);
        break;
      case 'failure': {
        const { code, id, message: why } = message;
        this.#settle(id)?.reject(code === null ? new Error(why) : new AdminError(code, why));
        break;
      }
      case 'stopped':
        this.#stopped.resolve();
        break;
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}
