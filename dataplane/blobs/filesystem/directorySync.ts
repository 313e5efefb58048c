/** fsync of one folder, one for all writers that wait at the same time. */
import { fsync } from 'node:fs';
import { BlobError } from '../blobs.ts';

export type SyncFile = (fd: number, callback: (error: NodeJS.ErrnoException | null) => void) => void;

export class DirectorySync {
  readonly #fd: number;
  readonly #onFatal: (error: Error) => void;
  readonly #fsync: SyncFile;
  /** The sync that has begun: it may have missed names made since. */
  #running: Promise<void> | null = null;
  /** The sync that begins after it, for everyone who asked meanwhile. */
  #next: Promise<void> | null = null;
  #failure: BlobError | null = null;

  constructor(fd: number, onFatal: (error: Error) => void, sync: SyncFile = fsync) {
    this.#fd = fd;
    this.#onFatal = onFatal;
    this.#fsync = sync;
  }

  /** Resolves after a sync that began after this call. Rejects with BlobError for good once one has failed. */
  sync(): Promise<void> {
    if (this.#running === null) return this.#start();
    this.#next ??= this.#afterRunning(this.#running);
    return this.#next;
  }

  async #afterRunning(running: Promise<void>): Promise<void> {
    await running;
    this.#next = null;
    await this.#start();
  }

  #start(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    this.#running = new Promise((resolve, reject) => {
      this.#fsync(this.#fd, (error) => {
        this.#running = null;
        if (error === null) {
          resolve();
          return;
        }
        this.#failure = new BlobError('Unavailable', 'a blob folder could not be synced', { cause: error });
        this.#onFatal(this.#failure);
        reject(this.#failure);
      });
    });
    return this.#running;
  }
}
