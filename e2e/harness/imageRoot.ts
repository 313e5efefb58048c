/**
 * An image without a container engine: its layers unpacked, and its program run as a container runtime would run it,
 * with a root that cannot be written, /tmp of its own, and the image's user and environment.
 *
 * Owns the unpacked folder. It must not read the checkout: what runs is what the archive holds. Needs root.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { z } from 'zod';

const descriptor = z.object({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/), mediaType: z.string() });
const indexSchema = z.object({
  manifests: z.tuple([descriptor.extend({ annotations: z.record(z.string(), z.string()) })]),
});
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor) });
const configSchema = z.object({
  architecture: z.string(),
  config: z.object({
    User: z.string(),
    Env: z.array(z.string()),
    Entrypoint: z.array(z.string()).min(1),
    Labels: z.record(z.string(), z.string()),
  }),
  rootfs: z.object({ diff_ids: z.array(z.string()) }),
});

export interface ImageRoot {
  /** The folder that is the container's root. */
  readonly root: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly digest: string;
  readonly architecture: string;
  readonly settings: z.infer<typeof configSchema>['config'];
}

/** The index of an OCI archive: what the image is called. */
export function readIndex(archivePath: string): Pick<ImageRoot, 'annotations' | 'digest'> {
  const text = execFileSync('tar', ['-xOf', archivePath, 'index.json'], { encoding: 'utf8' });
  const [{ annotations, digest }] = indexSchema.parse(JSON.parse(text)).manifests;
  return { annotations, digest };
}

/** Unpacks an OCI archive into `folder` and checks every digest on the way. @throws Error when one is wrong */
export function unpackImage(archivePath: string, folder: string): ImageRoot {
  const layout = join(folder, 'layout');
  const root = join(folder, 'root');
  for (const path of [layout, root]) mkdirSync(path, { recursive: true });
  execFileSync('tar', ['-xf', archivePath, '-C', layout]);
  const read = (digest: string): Buffer => {
    const content = readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
    return checked(content, digest);
  };
  const { digest, annotations } = readIndex(archivePath);
  const manifest = manifestSchema.parse(JSON.parse(read(digest).toString()));
  const config = configSchema.parse(JSON.parse(read(manifest.config.digest).toString()));
  for (const [number, layer] of manifest.layers.entries()) {
    const tar = checked(zstdDecompressSync(read(layer.digest)), config.rootfs.diff_ids[number]);
    execFileSync('tar', ['-x', '-p', '--same-owner', '-C', root], { input: tar });
  }
  return { root, annotations, digest, architecture: config.architecture, settings: config.config };
}

function checked(content: Buffer, digest: string | undefined): Buffer {
  const actual = `sha256:${createHash('sha256').update(content).digest('hex')}`;
  if (actual !== digest) throw new Error(`a blob called ${digest} is ${actual}`);
  return content;
}

// $1: the image's root, $2: a folder that is in the container too, $3: its owner there; then the command.
const ENTER = `
set -euo pipefail
chown -R "$3" "$2"
mount --bind "$1" "$1"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$1/tmp"
mkdir -p "$1$2"
mount --bind "$2" "$1$2"
mount --rbind /proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -o remount,bind,ro "$1"
ulimit -c unlimited
exec "\${@:4}"
`;

/**
 * The command line that runs the image's program, without its arguments.
 * @param folder seen in the container at the same path, and given to its user
 * @param user number of user and group; default: the image's
 */
export function containerCommand(image: ImageRoot, folder: string, user = image.settings.User): string[] {
  const chroot = execFileSync('sh', ['-c', 'command -v chroot'], { encoding: 'utf8' }).trimEnd();
  const inMounts = ['unshare', '--mount', '--propagation', 'private', 'bash', '-c', ENTER, 'enter'];
  const asUser = ['env', '-i', ...image.settings.Env, chroot, `--userspec=${user}`, '--groups=', image.root];
  return [...inMounts, image.root, folder, user, ...asUser, ...image.settings.Entrypoint];
}
