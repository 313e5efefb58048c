/** The npm packages that run in production, installed anew by the lock file, and what of them an image needs. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { delimiter, join, posix } from 'node:path';
import { type Entry, file } from './entries.ts';

const INPUTS = ['package.json', 'package-lock.json', '.npmrc'];

/**
 * Installs what package-lock.json has for production, once per lock file, and not from the checkout's node_modules:
 * npm checks each package against the lock file, and nothing that somebody changed there gets into the image.
 * @returns the node_modules folder, in the cache folder
 */
export function installPackages(root: string, cacheFolder: string, nodeFolder: string): string {
  const hash = createHash('sha256');
  for (const name of INPUTS) hash.update(readFileSync(join(root, name)));
  const home = join(cacheFolder, `packages-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(home)) return join(home, 'node_modules');
  mkdirSync(cacheFolder, { recursive: true });
  const staging = mkdtempSync(join(cacheFolder, 'packages.'));
  try {
    for (const name of INPUTS) copyFileSync(join(root, name), join(staging, name));
    execFileSync(
      'npm',
      ['ci', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'],
      {
        cwd: staging,
        env: { ...process.env, PATH: `${nodeFolder}${delimiter}${process.env['PATH'] ?? ''}` },
        stdio: ['ignore', 'ignore', 'inherit'],
      },
    );
    renameSync(staging, home);
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    // Another build may have put the same packages there meanwhile.
    if (!existsSync(home)) throw error;
  }
  return join(home, 'node_modules');
}

/** Folders at the top of a package that no program loads. */
const UNUSED_FOLDERS =
  /^(?:tests?|__tests__|docs?|examples?|bench(?:mark)?s?|coverage|integration|\.[^/]+)\//;
/** Node.js refuses to run TypeScript under node_modules, so none of it can be needed; `.bare` is another runtime's. */
const UNUSED_FILES =
  /\.(?:[cm]?ts|map|md|markdown|flow|tsbuildinfo|sh|html|ico|bare)$|(?:^|\/)\.[^/]+$|^(?:tsconfig|eslint|biome)[\w.-]*$/i;

/** Packages without a program, which some others name among what they need to run. */
const TYPES_ALONE = /(?:^|\/)@types\//;

/** Whether an image needs this file of a package; `path` is from the package's folder. */
export function isNeeded(path: string): boolean {
  return !UNUSED_FOLDERS.test(path) && !UNUSED_FILES.test(path);
}

/** The needed files under a node_modules folder, as entries under `into`. */
export function packageEntries(modules: string, into: string): Entry[] {
  return readdirSync(modules, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => join(found.parentPath, found.name).slice(modules.length + 1))
    .filter((path) => !path.startsWith('.') && !TYPES_ALONE.test(path) && isNeeded(insidePackage(path)))
    .map((path) => file(posix.join(into, path), join(modules, path)));
}

/** `dist/a.js` of `@scope/name/node_modules/other/dist/a.js`. */
function insidePackage(path: string): string {
  return path.replace(/^(?:.*node_modules\/)?(?:@[^/]+\/)?[^/]+\//, '');
}
