/** The upper layer: Sealgate's sources and the npm packages that they load, under /app. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { basename, join, posix } from 'node:path';
import { type Entry, file } from './entries.ts';
import { packageEntries } from './packages.ts';

/** The folders whose programs the image runs; those that are not built yet are left out. */
const PARTS = ['dataplane', 'operator', 'crds'];

export interface Product {
  readonly version: string;
  readonly description: string;
  readonly license: string;
}

/** What package.json says of the product. @throws Error when a field is not there */
export function productOf(root: string): Product {
  const fields = new Map(
    Object.entries(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as object),
  );
  const field = (name: string): string => {
    const value: unknown = fields.get(name);
    if (typeof value !== 'string') throw new Error(`package.json has no ${name}`);
    return value;
  };
  return { version: field('version'), description: field('description'), license: field('license') };
}

/** Whether a file of a part belongs in the image; tests, what they need and golden files do not. */
export function isShipped(path: string): boolean {
  if (/(?:^|\/)(?:vectors|golden|testdata|node_modules)\//.test(path)) return false;
  if (/\.(?:test|testkit)\.ts$|\.d\.ts$/.test(path)) return false;
  return /\.(?:ts|json|yaml)$/.test(path);
}

/** @param modules the folder of the production packages (installPackages) */
export function appLayer(root: string, modules: string): Entry[] {
  const { version, description, license } = productOf(root);
  const manifest = { name: 'sealgate', version, description, license, private: true, type: 'module' };
  return [
    file('app/package.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)),
    file('app/LICENSE', join(root, 'LICENSE')),
    ...PARTS.flatMap((part) => partEntries(root, part)),
    ...packageEntries(modules, 'app/node_modules'),
  ];
}

function partEntries(root: string, part: string): Entry[] {
  const folder = join(root, part);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => join(found.parentPath, found.name).slice(folder.length + 1))
    .filter(isShipped)
    .flatMap((path) => sourceEntries(join(folder, path), posix.join('app', part, path)));
}

/**
 * A source without its types, as Node.js would strip them, and a link with the source's own name: imports name `x.ts`,
 * and Node.js takes what the link leads to, `x.js`, as it is. Each thread is spared the stripping: docs/image.md has
 * the figures. Lines and columns stay as in the source.
 */
function sourceEntries(source: string, path: string): Entry[] {
  if (!path.endsWith('.ts')) return [file(path, source)];
  const script = path.replace(/\.ts$/, '.js');
  return [
    file(script, Buffer.from(stripTypeScriptTypes(readFileSync(source, 'utf8')))),
    { kind: 'link', path, target: basename(script) },
  ];
}
