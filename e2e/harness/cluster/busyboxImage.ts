/** A small image for pods that the tests start: Debian's static busybox and links to its commands. */
import { readFile } from 'node:fs/promises';
import { runCommand } from './commands.ts';
import { ociArchive } from './ociArchive.ts';

const BUSYBOX = '/bin/busybox';

/** Also the image of every pod's own first container, which does nothing. */
export const BUSYBOX_IMAGE = 'sealgate.test/busybox:1';

/** The archive for importImage(). Without a command a container of it sleeps. */
export async function busyboxArchive(): Promise<Buffer> {
  const [content, commands] = await Promise.all([readFile(BUSYBOX), runCommand([BUSYBOX, '--list'])]);
  const links = commands
    .split('\n')
    .filter((name) => name !== '' && name !== 'busybox')
    .map((name) => ({ path: `bin/${name}`, target: 'busybox' }));
  return ociArchive({
    name: BUSYBOX_IMAGE,
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    entries: [
      { path: 'bin', mode: 0o755 },
      { path: 'bin/busybox', content, mode: 0o755 },
      ...links,
      { path: 'tmp', mode: 0o1777 },
    ],
    entrypoint: ['/bin/busybox', 'sleep', 'infinity'],
  });
}
