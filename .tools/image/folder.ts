/** Writes the files of an image into a folder, for the Dockerfile. */
import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesOf, type Entry, inOrder } from './entries.ts';

/** Writes the entries under a folder that is not there yet; owners are whoever runs this. */
export function writeFolder(entries: readonly Entry[], folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const entry of inOrder(entries)) {
    const path = join(folder, entry.path);
    if (entry.kind === 'link') {
      symlinkSync(entry.target, path);
      continue;
    }
    if (entry.kind === 'folder') mkdirSync(path);
    else {
      writeFileSync(path, bytesOf(entry), { flag: 'wx' });
      utimesSync(path, 0, 0);
    }
    chmodSync(path, entry.mode); // not by the call before: the umask would take rights away
  }
}
