/** The lower layer: Node.js, its libraries and the few files that programs expect. It changes only with these. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Entry, FOLDER_MODE, file } from './entries.ts';
import { librariesOf } from './libraries.ts';

/** Runs for everyone and is read by nobody but root: the kernel writes no core of such a process, which would show keys. */
const UNREADABLE_PROGRAM = 0o711;

/** Numeric, so that Kubernetes sees that it is not root; OpenShift puts any other number in its place. */
export const USER_ID = 65532;

/** @param pinnedNodeFolder the folder of the pinned Node.js (`.tools/node.sh --pinned`), with `node` in it */
export function runtimeLayer(pinnedNodeFolder: string): Entry[] {
  const node = join(pinnedNodeFolder, 'node');
  const libraries = librariesOf(node);
  const packages = new Map(
    libraries.flatMap(({ debian }) => (debian === null ? [] : [[debian.name, debian]])),
  );
  const contents = {
    node: { version: runNode(node, 'process.versions.node'), sha256: sha256Of(node) },
    libraries: libraries.map(({ path, debian }) => ({
      path,
      package: debian === null ? null : `${debian.name}=${debian.version}`,
      sha256: sha256Of(path),
    })),
  };
  return [
    file('usr/bin/node', node, UNREADABLE_PROGRAM),
    file('usr/share/doc/node/LICENSE', join(pinnedNodeFolder, '../LICENSE')),
    ...libraries.map(({ path }) => file(path.slice(1), realpathSync(path), 0o755)),
    // Node.js has the list of Mozilla built in: no certificate that only this machine trusts gets into the image.
    file(
      'etc/ssl/certs/ca-certificates.crt',
      text(runNode(node, "require('tls').rootCertificates.join('\\n')")),
    ),
    file(
      'etc/passwd',
      text('root:x:0:0:root:/:/sbin/nologin', `sealgate:x:${USER_ID}:0:Sealgate:/:/sbin/nologin`),
    ),
    file('etc/group', text('root:x:0:')),
    file('etc/nsswitch.conf', text('passwd: files', 'group: files', 'hosts: files dns')),
    { kind: 'folder', path: 'tmp', mode: 0o1777 },
    { kind: 'folder', path: 'proc', mode: FOLDER_MODE },
    { kind: 'folder', path: 'dev', mode: FOLDER_MODE },
    { kind: 'folder', path: 'sys', mode: FOLDER_MODE },
    file('usr/share/sealgate/contents.json', text(JSON.stringify(contents, null, 2))),
    // Where scanners of images look for what is installed.
    ...[...packages.values()].flatMap(({ name, status }) => [
      file(`var/lib/dpkg/status.d/${name}`, Buffer.from(status)),
      ...ifPresent(`usr/share/doc/${name}/copyright`),
    ]),
    ...(packages.size === 0 ? [] : ifPresent('etc/os-release')),
  ];
}

function text(...lines: readonly string[]): Buffer {
  return Buffer.from(`${lines.join('\n')}\n`);
}

function ifPresent(path: string): Entry[] {
  return existsSync(`/${path}`) ? [file(path, `/${path}`)] : [];
}

function runNode(node: string, expression: string): string {
  return execFileSync(node, ['-p', expression], { encoding: 'utf8', env: {} }).trimEnd();
}

function sha256Of(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** The folder of the pinned Node.js, which is fetched once. @param root the project's folder */
export function pinnedNode(root: string): string {
  const folder = execFileSync(join(root, '.tools/node.sh'), ['--pinned'], { encoding: 'utf8' }).trimEnd();
  if (!existsSync(join(dirname(folder), 'LICENSE')))
    throw new Error(`no licence of Node.js beside ${folder}`);
  return folder;
}
