/** Notices that the configuration's folders changed, as a mounted volume does when kubelet writes it anew. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { LoadedConfig } from '../config/settings.ts';

export interface FolderWatch {
  /** Whether an entry of a folder was added, removed or replaced since the last call. */
  changed(): boolean;
}

/** The folders of the files that kubelet replaces as a whole. */
export function foldersOf({ file, connectionsDir }: Pick<LoadedConfig, 'file' | 'connectionsDir'>): string[] {
  return connectionsDir === null ? [dirname(file)] : [dirname(file), connectionsDir];
}

/** A look costs one stat for each folder; a file that is rewritten in place is not noticed. */
export function watchFolders(folders: () => readonly string[]): FolderWatch {
  let seen = stamp(folders());
  return {
    changed: () => {
      const now = stamp(folders());
      if (now === seen) return false;
      seen = now;
      return true;
    },
  };
}

function stamp(folders: readonly string[]): string {
  return folders
    .map((folder) => {
      const found = statSync(folder, { bigint: true, throwIfNoEntry: false });
      return found === undefined ? 'none' : `${found.dev}:${found.ino}:${found.mtimeNs}`;
    })
    .join(' ');
}
