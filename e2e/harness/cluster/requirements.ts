/** Whether this machine can run a cluster. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { cgroupMounts } from './cgroups.ts';
import { runCommand } from './commands.ts';

const COMMANDS = ['conntrack', 'containerd', 'ctr', 'ip', 'nft', 'nsenter', 'openssl', 'runc', 'unshare'];
const FILES = ['/bin/busybox', '/usr/bin/python3', '/usr/lib/cni/bridge', '/usr/lib/cni/portmap'];

/** Makes what a node needs, in namespaces that end at once. */
const TRIAL = `mount -t tmpfs tmpfs /run
ip link add trial type bridge
ip link add one type veth peer name other
test -e /proc/sys/net/bridge/bridge-nf-call-iptables || { echo "the kernel's br_netfilter is not loaded" >&2; exit 1; }
nft add table ip trial`;

/** Null when a cluster can be started here, else the reason why not, for people. Leaves nothing behind. */
export async function whyNoCluster(): Promise<string | null> {
  if (process.platform !== 'linux') return `it needs Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'it needs root, to make namespaces and cgroups';
  const folders = (process.env['PATH'] ?? '').split(':');
  const missing = [
    ...COMMANDS.filter((name) => !folders.some((folder) => existsSync(path.join(folder, name)))),
    ...FILES.filter((file) => !existsSync(file)),
  ];
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  if (!/\boverlay$/m.test(await readFile('/proc/filesystems', 'utf8'))) return 'the kernel has no overlayfs';
  const trial =
    'unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc /bin/sh -ec';
  try {
    await runCommand([...trial.split(' '), TRIAL]);
  } catch (error) {
    return `namespaces cannot be made: ${error instanceof Error ? error.message : String(error)}`;
  }
  return await whyNoCgroup();
}

async function whyNoCgroup(): Promise<string | null> {
  const mounts = cgroupMounts();
  if (mounts.length === 0) return 'no cgroups are mounted';
  for (const mount of mounts) {
    const folder = path.join(mount, `sealgate-trial-${process.pid}`);
    try {
      await mkdir(folder);
      await rmdir(folder);
    } catch (error) {
      return `cgroups cannot be made: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  return null;
}
