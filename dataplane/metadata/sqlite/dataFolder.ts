/** The folder that holds the metadata: on a local disk, and one process's alone. */
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeDurableFolder } from '../../blobs/filesystem/durableFolder.ts';
import { MetadataError } from '../metadata.ts';

/** statfs(2) types of filesystems on which SQLite's locks and shared memory do not hold between machines. */
const networkFilesystems: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9p'],
  [0x65735546, 'FUSE'],
  [0x5346414f, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x7461636f, 'OCFS2'],
  [0x01161970, 'GFS2'],
]);

export interface DataFolderLock {
  /** Gives the folder up. The end of the process does the same. */
  release(): void;
}

/** MetadataError 'Unavailable' when the folder lies on a network filesystem. */
export function refuseNetworkFilesystem(
  path: string,
  filesystemType: (path: string) => number = statfsType,
): void {
  const name = networkFilesystems.get(filesystemType(path) >>> 0);
  if (name === undefined) return;
  throw new MetadataError(
    'Unavailable',
    `${path} is on a ${name} filesystem; metadata and blobs need a local disk`,
  );
}

function statfsType(path: string): number {
  return statfsSync(path).type;
}

/**
 * Makes the folder if need be and locks it for the life of this process, by an exclusive transaction on lock.db.
 * MetadataError 'Unavailable' when another process holds it.
 */
export function lockDataFolder(path: string): DataFolderLock {
  makeDurableFolder(path);
  refuseNetworkFilesystem(path);
  const db = new DatabaseSync(join(path, 'lock.db'), { timeout: 0 });
  try {
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    throw new MetadataError('Unavailable', `another process serves ${path}: its lock.db is locked`, {
      cause: error,
    });
  }
  return { release: () => db.close() };
}
