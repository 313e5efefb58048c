/**
 * Blobs as files: `<path>/<incarnation>/<blobId>`, made exclusively under their final name, mode 0600.
 *
 * Owns durability on a filesystem: finish() returns after fdatasync of the file and fsync of its folder. A sync that
 * failed is never repeated, because the kernel may answer the second one with a false success: `onFatal` ends the
 * process. A file whose row was never committed is left to abort(), or to the collector once its incarnation is dead.
 */
import { statfsSync } from 'node:fs';
import { opendir, readdir, rmdir, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { newId } from '../crypto/ids.ts';
import type { BlobLocation, Id } from '../metadata/metadata.ts';
import { BlobError, type BlobReader, type BlobStore, type BlobWriter } from './blobs.ts';
import { DirectorySync } from './filesystem/directorySync.ts';
import { makeDurableFolder, openFolder } from './filesystem/durableFolder.ts';
import { asBlobError, errnoOf } from './filesystem/fileErrors.ts';
import { openFile } from './filesystem/fileReader.ts';
import { createFile, FileBlobWriter } from './filesystem/fileWriter.ts';
import { FreeSpace } from './filesystem/freeSpace.ts';

export interface FilesystemBlobsOptions {
  /** The folder of all blobs. */
  readonly path: string;
  /** This life of this process. */
  readonly incarnation: Id;
  /** Called when a sync failed: end the process. */
  readonly onFatal: (error: Error) => void;
  /** Below this much free space create() is 'NoSpace'. */
  readonly freeSpaceReserveBytes: number;
}

const idPattern = /^[0-9a-f]{32}$/;

/** Makes the folders of this incarnation and syncs their names. Once per process, before any store is opened. */
export function prepareFilesystemBlobs(options: { readonly path: string; readonly incarnation: Id }): void {
  makeDurableFolder(join(options.path, options.incarnation));
}

/** What `inspect` and `verify` need of a store: it writes nothing and has no incarnation. */
export function openFilesystemBlobsReadOnly(path: string): Pick<BlobStore, 'open' | 'incarnations' | 'list'> {
  const root = resolve(path);
  return {
    open: async (location: BlobLocation): Promise<BlobReader> => openFile(fileOf(root, location)),
    async incarnations(): Promise<readonly Id[]> {
      try {
        return (await readdir(root)).filter((name) => idPattern.test(name));
      } catch (error) {
        throw asBlobError(error, 'the blob folder cannot be read');
      }
    },
    async *list(incarnation: Id): AsyncIterable<Id> {
      try {
        for await (const entry of await opendir(join(root, incarnation))) {
          if (idPattern.test(entry.name)) yield entry.name;
        }
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw asBlobError(error, 'a blob folder cannot be read');
      }
    },
  };
}

function fileOf(root: string, { incarnation, blobId }: BlobLocation): string {
  if (!idPattern.test(incarnation) || !idPattern.test(blobId)) {
    throw new BlobError('NotFound', 'a blob location that no store gave out');
  }
  return join(root, incarnation, blobId);
}

/** The store of one worker. Its incarnation's folder has been prepared. */
export function openFilesystemBlobs(options: FilesystemBlobsOptions): BlobStore {
  const root = resolve(options.path);
  const folder = join(root, options.incarnation);
  const directory = new DirectorySync(openFolder(folder), options.onFatal);
  const space = new FreeSpace({
    reserveBytes: options.freeSpaceReserveBytes,
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(root);
      return bavail * bsize;
    },
    now: () => performance.now(),
  });
  const files = openFilesystemBlobsReadOnly(root);

  return {
    ...files,
    async create(): Promise<BlobWriter> {
      if (!space.mayGrow()) throw new BlobError('NoSpace', 'the disk is below its reserve of free space');
      const location = { incarnation: options.incarnation, blobId: newId() };
      const path = fileOf(root, location);
      const fd = await createFile(path);
      return new FileBlobWriter({ location, path, fd, directory, onFatal: options.onFatal });
    },
    async delete(location: BlobLocation): Promise<void> {
      try {
        await unlink(fileOf(root, location));
      } catch (error) {
        if (errnoOf(error) !== 'ENOENT') throw asBlobError(error, 'a blob cannot be deleted');
      }
    },
    async dropIncarnation(incarnation: Id): Promise<boolean> {
      try {
        await rmdir(join(root, incarnation));
        return true;
      } catch (error) {
        const code = errnoOf(error);
        if (code === 'ENOENT') return true;
        if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
        throw asBlobError(error, 'a blob folder cannot be removed');
      }
    },
  };
}
