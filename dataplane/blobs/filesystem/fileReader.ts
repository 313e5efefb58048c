/** An open blob file. Unlinking it leaves the open file readable (unlink(2)). */
import { close, fstat, open, read } from 'node:fs';
import { BlobError, type BlobReader } from '../blobs.ts';
import { asBlobError, errnoOf } from './fileErrors.ts';

/** BlobError 'NotFound' when there is no such file. */
export function openFile(path: string): Promise<BlobReader> {
  return new Promise((resolve, reject) => {
    open(path, 'r', (openError, fd) => {
      if (openError !== null) {
        const missing = errnoOf(openError) === 'ENOENT';
        const notFound = new BlobError('NotFound', 'there is no such blob', { cause: openError });
        reject(missing ? notFound : asBlobError(openError, 'a blob cannot be opened'));
        return;
      }
      fstat(fd, (statError, stats) => {
        if (statError === null) resolve(new FileBlobReader(fd, stats.size));
        else close(fd, () => reject(asBlobError(statError, 'a blob cannot be opened')));
      });
    });
  });
}

class FileBlobReader implements BlobReader {
  readonly storedBytes: number;
  readonly #fd: number;
  #closed = false;

  constructor(fd: number, storedBytes: number) {
    this.#fd = fd;
    this.storedBytes = storedBytes;
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let filled = 0;
      const next = (): void => {
        read(this.#fd, into, filled, into.byteLength - filled, position + filled, (error, bytesRead) => {
          if (error !== null) {
            reject(new BlobError('Unavailable', 'a blob cannot be read', { cause: error }));
            return;
          }
          filled += bytesRead;
          if (bytesRead === 0 || filled === into.byteLength) resolve(filled);
          else next();
        });
      };
      if (this.#closed) reject(new BlobError('Unavailable', 'the blob was closed'));
      else next();
    });
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve, reject) => {
      close(this.#fd, (error) => {
        if (error === null) resolve();
        else reject(new BlobError('Unavailable', 'a blob cannot be closed', { cause: error }));
      });
    });
  }
}
