/** The shared libraries that a program needs, and the Debian packages that they are from. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Library {
  /** Where the program's loader looks for it. */
  readonly path: string;
  /** Null where this machine's libraries are not from Debian packages. */
  readonly debian: DebianPackage | null;
}

export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  /** Its paragraph of dpkg's database, without what only this machine knows. */
  readonly status: string;
}

/** What glibc before 2.34 opens by itself to look up a name; newer ones have it built in. */
const NAME_SERVICE = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'];

/** By `ldd`, which asks the program's own loader. @throws Error when a library is missing */
export function librariesOf(program: string): Library[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8', env: { LC_ALL: 'C' } });
  if (lines.includes('not found')) throw new Error(`${program} lacks a library on this machine:\n${lines}`);
  const needed = loadedPaths(lines);
  const libc = needed.find((path) => path.endsWith('/libc.so.6'));
  if (libc === undefined) throw new Error(`${program} is not linked to glibc:\n${lines}`);
  const named = NAME_SERVICE.map((name) => join(dirname(libc), name)).filter((path) => existsSync(path));
  const paths = [...new Set([...needed, ...named])].toSorted();
  const owners = ownersIn(dpkgQuery(['-S', ...paths.flatMap(bothNames)]));
  const packages = new Map([...new Set(owners.values())].map((owner) => [owner, describePackage(owner)]));
  return paths.map((path) => {
    const owner = bothNames(path).flatMap((name) => owners.get(name) ?? [])[0];
    return { path, debian: packages.get(owner ?? '') ?? null };
  });
}

/** The paths in the output of `ldd`: `libm.so.6 => /lib/libm.so.6 (0x…)` and `/lib64/ld-linux.so.2 (0x…)`. */
export function loadedPaths(lines: string): string[] {
  return [...lines.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x/gm)].map(([, path = '']) => path);
}

/** /lib is a link to /usr/lib on today's systems, and dpkg knows a file by only one of both names. */
function bothNames(path: string): string[] {
  return [path, path.startsWith('/usr/') ? path.slice('/usr'.length) : `/usr${path}`];
}

/** The packages by path, from lines such as `libc6:amd64: /lib/x86_64-linux-gnu/libc.so.6`. */
export function ownersIn(lines: string): Map<string, string> {
  return new Map([...lines.matchAll(/^(\S+): (\/.+)$/gm)].map(([, owner = '', path = '']) => [path, owner]));
}

function describePackage(owner: string): DebianPackage {
  const fields = ['Package', 'Version', 'Architecture', 'Maintainer', 'Source', 'Homepage', 'Description'];
  const format = fields.map((field) => `${field}: \${${field}}\n`).join('');
  const paragraph = dpkgQuery(['-W', `-f=${format}`, owner]).replaceAll(/^\S+: \n/gm, '');
  const field = (name: string): string => {
    const value = new RegExp(`^${name}: (.+)$`, 'm').exec(paragraph)?.[1];
    if (value === undefined) throw new Error(`dpkg-query knows no ${name} of ${owner}`);
    return value;
  };
  const status = `${paragraph.trimEnd()}\nStatus: install ok installed\n`;
  return { name: field('Package'), version: field('Version'), status };
}

/** Empty where there is no dpkg. It ends with 1 when it does not know one of many paths, and still names the others. */
function dpkgQuery(args: readonly string[]): string {
  const { error, status, stdout, stderr } = spawnSync('dpkg-query', args, {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') return '';
  if (error !== undefined) throw error;
  if (status !== 0 && status !== 1) throw new Error(`dpkg-query ended with ${status}: ${stderr}`);
  return stdout;
}
