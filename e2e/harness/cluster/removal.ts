/** Removes everything that a cluster had, however it ended: processes, cgroups and its folder. */
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { cgroupsOf, removeCgroup } from './cgroups.ts';
import { endRecorded, type Processes } from './processes.ts';
import { abandonedFolders, clusterName } from './workFolders.ts';

/**
 * Removes the cluster of a folder. Its processes' mounts and network namespaces are those of the nodes' own namespaces
 * and go with them. `except`: the process that calls this, when it is one of the recorded ones.
 */
export async function removeCluster(folder: string, except?: number): Promise<void> {
  await endRecorded(folder, except === undefined ? {} : { except });
  for (const cgroup of await cgroupsOf(clusterName(folder))) await removeCgroup(cgroup);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Removes all clusters whose owner has ended. */
export async function removeAbandonedClusters(): Promise<void> {
  for (const folder of await abandonedFolders()) await removeCluster(folder);
}

/** Starts a process that removes the cluster when this process ends without having done so, by SIGKILL say. */
export async function removeWhenOrphaned(processes: Processes): Promise<void> {
  const program = fileURLToPath(new URL('./keeper.ts', import.meta.url));
  const script = 'cat >/dev/null; exec "$@"';
  await processes.start(
    'keeper',
    ['/bin/sh', '-c', script, 'keeper', process.execPath, program, processes.folder],
    { tied: true },
  );
}
