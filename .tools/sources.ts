/** The TypeScript files of the tree and what they import, for the tests that hold rules over all of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's root folder, without a slash at its end. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

const TOP_FOLDERS = ['dataplane', 'operator', 'crds', 'e2e', '.tools', '.config'];

/** Paths from the root, with forward slashes, of every file with this ending. */
export function filesEndingIn(ending: string): string[] {
  return TOP_FOLDERS.flatMap((folder) => {
    try {
      return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
        posix.join(folder, name),
      );
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []; // not every part is built yet
      throw error;
    }
  })
    .filter((path) => path.endsWith(ending) && !path.includes('node_modules/'))
    .toSorted();
}

/** Reads a file named from the root. */
export function readSource(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

const IMPORT =
  /^\s*(?:import|export)\b[^'";]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|\bnew URL\(\s*['"](\.[^'"]+\.ts)['"]/gmu;

/** What the text of the file at `path` imports: a path from the root for relative imports, else the package's name. */
export function importsOf(path: string, text: string): string[] {
  return [...text.matchAll(IMPORT)].map(([, from, bare, dynamic, url]) => {
    const target = from ?? bare ?? dynamic ?? url ?? '';
    return target.startsWith('.') ? relative(ROOT, join(ROOT, dirname(path), target)) : target;
  });
}
