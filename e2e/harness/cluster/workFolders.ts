/**
 * The folders of all clusters on this machine. A folder's name says which process it belongs to, so that whoever starts
 * a cluster can remove those whose owner is gone without having removed them.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startedTicks } from './processes.ts';

/** Belongs to no process: it stays until somebody removes it. */
const DETACHED = 'detached';

/** One folder for each user of the machine: another one's clusters are not ours to remove. */
function parentFolder(): string {
  return path.join(tmpdir(), `sealgate-clusters-${process.getuid?.() ?? 0}`);
}

/** Makes a folder that belongs to this process, or to none. */
export async function makeWorkFolder(detached: boolean): Promise<string> {
  const owner = detached ? DETACHED : `${process.pid}.${startedTicks(process.pid)}`;
  const folder = path.join(parentFolder(), `${owner}.${randomBytes(4).toString('hex')}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** A name for what a cluster has outside its folder, such as cgroups: made of the folder's, and no other's. */
export function clusterName(folder: string): string {
  return `sealgate-${folder.slice(folder.lastIndexOf('.') + 1)}`;
}

/** Folders whose owner has ended. */
export async function abandonedFolders(): Promise<string[]> {
  const names = await readdir(parentFolder()).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => {
      const [owner = '', ticks] = name.split('.');
      return owner !== DETACHED && startedTicks(Number(owner)) !== ticks;
    })
    .map((name) => path.join(parentFolder(), name));
}
