/** One blob file being written. Callbacks, not FileHandle promises: this is the large-body path. */
import { close, fdatasync, open, unlink, writev } from 'node:fs';
import type { BlobLocation } from '../../metadata/metadata.ts';
import { BlobError, type BlobWriter } from '../blobs.ts';
import type { DirectorySync } from './directorySync.ts';
import { asBlobError, isNoSpace } from './fileErrors.ts';

type Done = (error: NodeJS.ErrnoException | null) => void;

/** The system calls of a writer; node:fs fits. */
export interface FileCalls {
  readonly writev: (
    fd: number,
    buffers: readonly Uint8Array[],
    done: (error: NodeJS.ErrnoException | null, bytesWritten: number) => void,
  ) => void;
  readonly fdatasync: (fd: number, done: Done) => void;
  readonly close: (fd: number, done: Done) => void;
  readonly unlink: (path: string, done: Done) => void;
}

const systemCalls: FileCalls = { writev, fdatasync, close, unlink };

export interface FileBlobWriterOptions {
  readonly location: BlobLocation;
  readonly path: string;
  readonly fd: number;
  readonly directory: DirectorySync;
  readonly onFatal: (error: Error) => void;
  readonly calls?: FileCalls;
}

/** So much may be unsynced before a sync starts in the background: the last sync then finds little to do. */
const syncEveryBytes = 32 * 1024 * 1024;

/** Makes the file exclusively under its final name. */
export function createFile(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, 'wx', 0o600, (error, fd) => {
      if (error === null) resolve(fd);
      else reject(asBlobError(error, 'a blob cannot be made'));
    });
  });
}

export class FileBlobWriter implements BlobWriter {
  readonly location: BlobLocation;
  storedBytes = 0;
  readonly #path: string;
  readonly #fd: number;
  readonly #directory: DirectorySync;
  readonly #onFatal: (error: Error) => void;
  readonly #calls: FileCalls;
  #unsyncedBytes = 0;
  #writing: Promise<void> | null = null;
  #syncing: Promise<void> | null = null;
  #failure: BlobError | null = null;
  #ended = false;

  constructor(options: FileBlobWriterOptions) {
    this.location = options.location;
    this.#path = options.path;
    this.#fd = options.fd;
    this.#directory = options.directory;
    this.#onFatal = options.onFatal;
    this.#calls = options.calls ?? systemCalls;
  }

  write(buffers: readonly Uint8Array[]): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#ended || this.#writing !== null) {
      return Promise.reject(new BlobError('Unavailable', 'the blob was ended, or a write is pending'));
    }
    const pending = buffers.filter((buffer) => buffer.byteLength > 0);
    if (pending.length === 0) return Promise.resolve();
    const writing = new Promise<void>((resolve, reject) => this.#writeAll(pending, resolve, reject));
    this.#writing = writing;
    return writing;
  }

  async finish(): Promise<void> {
    this.#end();
    await Promise.allSettled([this.#writing, this.#syncing]);
    if (this.#failure === null) {
      // The name exists since create(), so both syncs may run at once.
      await Promise.allSettled([this.#sync(), this.#syncDirectory()]);
    }
    await this.#close();
    if (this.#failure === null) return;
    await this.#unlink();
    throw this.#failure;
  }

  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#end();
    await Promise.allSettled([this.#writing, this.#syncing]);
    await this.#close();
    await this.#unlink();
  }

  #end(): void {
    if (this.#ended) throw new BlobError('Unavailable', 'the blob was ended before');
    this.#ended = true;
  }

  #writeAll(buffers: readonly Uint8Array[], resolve: () => void, reject: (error: BlobError) => void): void {
    this.#calls.writev(this.#fd, buffers, (error, bytesWritten) => {
      if (error !== null) {
        this.#writing = null;
        this.#failure ??= asBlobError(error, 'a blob cannot be written');
        reject(this.#failure);
        return;
      }
      this.storedBytes += bytesWritten;
      this.#unsyncedBytes += bytesWritten;
      const rest = unwritten(buffers, bytesWritten);
      if (rest.length > 0) {
        this.#writeAll(rest, resolve, reject);
        return;
      }
      this.#writing = null;
      this.#syncInBackground();
      resolve();
    });
  }

  #syncInBackground(): void {
    if (this.#unsyncedBytes < syncEveryBytes || this.#syncing !== null || this.#failure !== null) return;
    const syncing = this.#sync().then(
      () => {
        this.#syncing = null;
      },
      () => {
        // #sync has kept the failure; the next write() or finish() answers with it.
        this.#syncing = null;
      },
    );
    this.#syncing = syncing;
  }

  #sync(): Promise<void> {
    this.#unsyncedBytes = 0;
    return new Promise((resolve, reject) => {
      this.#calls.fdatasync(this.#fd, (error) => {
        if (error === null) {
          resolve();
          return;
        }
        this.#failure ??= asBlobError(error, 'a blob could not be synced');
        // A full disk says nothing about other files: this one goes, the process stays. Everything else may lie.
        if (!isNoSpace(error)) this.#onFatal(this.#failure);
        reject(this.#failure);
      });
    });
  }

  async #syncDirectory(): Promise<void> {
    try {
      await this.#directory.sync();
    } catch (error) {
      this.#failure ??= asBlobError(error, 'a blob folder could not be synced');
    }
  }

  #close(): Promise<void> {
    return new Promise((resolve) => {
      this.#calls.close(this.#fd, (error) => {
        // The descriptor is gone even then (close(2)).
        if (error !== null) this.#failure ??= asBlobError(error, 'a blob cannot be closed');
        resolve();
      });
    });
  }

  /** No row names the file. If it cannot be removed, the collector does it once this incarnation is dead. */
  #unlink(): Promise<void> {
    return new Promise((resolve) => {
      this.#calls.unlink(this.#path, () => resolve());
    });
  }
}

/** The buffers without their first `written` bytes. */
function unwritten(buffers: readonly Uint8Array[], written: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = written;
  for (const buffer of buffers) {
    if (skip >= buffer.byteLength) {
      skip -= buffer.byteLength;
      continue;
    }
    rest.push(buffer.subarray(skip));
    skip = 0;
  }
  return rest;
}
