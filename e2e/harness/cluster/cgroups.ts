/** Control groups of a cluster's pods: one for each node, with the pods' own beneath it (cgroups(7)). */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ClusterError } from './clusterError.ts';

const EMPTY_LIMIT_MS = 10_000;

/** Where cgroups are mounted: one place, or one for each controller in version 1. */
export function cgroupMounts(): string[] {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
    .map(([, mount = '']) => mount);
}

/** Makes a cgroup under every mount: kubelet wants its root to be there. */
export async function makeCgroups(name: string): Promise<void> {
  for (const mount of cgroupMounts()) {
    const folder = path.join(mount, name);
    await mkdir(folder, { recursive: true });
    // Version 1: a new cpuset is empty, and no process may enter it.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (existsSync(path.join(mount, 'tasks')) && existsSync(path.join(mount, file))) {
        await writeFile(path.join(folder, file), await readFile(path.join(mount, file)));
      }
    }
    // Version 2: controllers are handed down level by level.
    const controllers = path.join(mount, 'cgroup.controllers');
    const names = existsSync(controllers) ? (await readFile(controllers, 'utf8')).trim() : '';
    if (names !== '') {
      const enabled = names
        .split(' ')
        .map((controller) => `+${controller}`)
        .join(' ');
      await writeFile(path.join(mount, 'cgroup.subtree_control'), enabled);
      await writeFile(path.join(folder, 'cgroup.subtree_control'), enabled);
    }
  }
}

/** The cgroups whose name starts with this one, of all mounts. */
export async function cgroupsOf(name: string): Promise<string[]> {
  const found = cgroupMounts().map(async (mount) =>
    (await readdir(mount)).filter((entry) => entry.startsWith(name)).map((entry) => path.join(mount, entry)),
  );
  return (await Promise.all(found)).flat();
}

/** Removes a cgroup, innermost first. It can be removed a moment after its last process has ended. */
export async function removeCgroup(cgroup: string): Promise<void> {
  for (const entry of await readdir(cgroup, { withFileTypes: true })) {
    if (entry.isDirectory()) await removeCgroup(path.join(cgroup, entry.name));
  }
  const limitMs = Date.now() + EMPTY_LIMIT_MS;
  for (;;) {
    try {
      await rmdir(cgroup);
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EBUSY')) throw error;
      if (Date.now() > limitMs) {
        throw new ClusterError('not_removed', `${cgroup} has processes`, { cause: error });
      }
    }
    await delay(20);
  }
}
