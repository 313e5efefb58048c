/** What a cluster has on this machine, to see that nothing of it stays. */
import { existsSync, readFileSync } from 'node:fs';
import { readdir, readlink } from 'node:fs/promises';
import { cgroupsOf } from './cgroups.ts';
import { clusterName } from './workFolders.ts';

export interface Remains {
  /** Command lines of processes that name the folder, are in a cgroup of its pods, or in one of its networks. */
  readonly processes: readonly string[];
  /** The network namespaces of these processes, other than this process's own. */
  readonly networks: readonly string[];
  readonly cgroups: readonly string[];
  readonly folder: boolean;
}

/** Looks for everything that the cluster of a folder makes; `networks` are those that it was seen to have. */
export async function remainsOf(folder: string, networks: readonly string[] = []): Promise<Remains> {
  const name = clusterName(folder);
  const own = await readlink('/proc/self/ns/net');
  const processes: string[] = [];
  const found = new Set<string>();
  for (const id of await readdir('/proc')) {
    if (!/^\d+$/.test(id) || Number(id) === process.pid) continue;
    const seen = await processOf(id);
    if (seen === null) continue;
    const { command, cgroup, network } = seen;
    if (!command.includes(folder) && !cgroup.includes(name) && !networks.includes(network)) continue;
    processes.push(command);
    if (network !== own) found.add(network);
  }
  return {
    processes,
    networks: [...found],
    cgroups: await cgroupsOf(name),
    folder: existsSync(folder),
  };
}

/** Mounts and named network namespaces of this machine; those of the nodes' own namespaces are not among them. */
export async function machineState(): Promise<{ mounts: string[]; namedNetworks: string[] }> {
  return {
    mounts: readFileSync('/proc/self/mounts', 'utf8').split('\n'),
    namedNetworks: existsSync('/run/netns') ? await readdir('/run/netns') : [],
  };
}

/** Null for a process that ended while it was looked at. */
async function processOf(id: string): Promise<{ command: string; cgroup: string; network: string } | null> {
  try {
    return {
      command: readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
      cgroup: readFileSync(`/proc/${id}/cgroup`, 'utf8'),
      network: await readlink(`/proc/${id}/ns/net`).catch(unlessRefused),
    };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

/** A process that root may not look at is none of ours. */
function unlessRefused(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'EACCES') return '';
  throw error;
}
