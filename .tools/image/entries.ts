/** The files of an image as values, before they become a tar or a folder. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';

interface Placed {
  /** From the root of the image, with forward slashes and none at either end. */
  readonly path: string;
}

/** One thing in the image; owner and group are 0 and the time is 0 for all of them. */
export type Entry =
  | (Placed & { readonly kind: 'folder'; readonly mode: number })
  /** `content` is the bytes themselves, or the path of the file on this machine that has them. */
  | (Placed & { readonly kind: 'file'; readonly mode: number; readonly content: Buffer | string })
  /** `target` is relative to the folder of the link. */
  | (Placed & { readonly kind: 'link'; readonly target: string });

/** Read by all, run by all, written by nobody but root. */
export const FOLDER_MODE = 0o755;
const FILE_MODE = 0o644;

/** A file of these bytes, or with the bytes of the file at that path of this machine. */
export function file(path: string, content: Buffer | string, mode = FILE_MODE): Entry {
  return { kind: 'file', path, mode, content };
}

/** The bytes of a file entry. */
export function bytesOf(entry: Entry & { readonly kind: 'file' }): Buffer {
  return typeof entry.content === 'string' ? readFileSync(entry.content) : entry.content;
}

/**
 * The entries by path, with the folders that they lie in, so that the same content always comes in the same order.
 * @throws Error when two entries have one path, or a path leaves the image
 */
export function inOrder(entries: readonly Entry[]): Entry[] {
  const byPath = new Map<string, Entry>();
  for (const entry of entries) {
    const { path } = entry;
    if (
      path === '' ||
      path.startsWith('/') ||
      posix.normalize(path) !== path ||
      path.startsWith('..') ||
      path.endsWith('/')
    ) {
      throw new Error(`an image cannot have the path ${JSON.stringify(path)}`);
    }
    if (byPath.has(path)) throw new Error(`the image has ${path} twice`);
    byPath.set(path, entry);
  }
  for (const { path } of entries) {
    for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) {
      if (!byPath.has(folder)) byPath.set(folder, { kind: 'folder', path: folder, mode: FOLDER_MODE });
    }
  }
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}
