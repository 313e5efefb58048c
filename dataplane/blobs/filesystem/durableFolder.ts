/** Folders whose names survive a power cut: fsync of the folder that holds the name (fsync(2), "Notes"). */
import { closeSync, constants, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

export function openFolder(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}

function syncFolder(path: string): void {
  const fd = openFolder(path);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes the folder and those above it, mode 0700, and syncs each name that may be new. */
export function makeDurableFolder(path: string, sync: (folder: string) => void = syncFolder): void {
  const folder = resolve(path);
  const firstMade = mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Without a new folder there is still the name that a process made and did not live to sync.
  const highest = dirname(firstMade === undefined ? folder : resolve(firstMade));
  sync(folder);
  for (let above = dirname(folder); ; above = dirname(above)) {
    sync(above);
    if (above === highest || above === dirname(above)) return;
  }
}
