/** A control plane on the loopback, for tests about objects alone: schemas, policies, and controllers. */
import { freePort } from '../freePort.ts';
import { type ControlPlane, openControlPlane } from './controlPlane.ts';
import { launchControlPlane, startControllerManager } from './launchControlPlane.ts';
import { Processes } from './processes.ts';
import type { KubernetesRelease } from './programs.ts';
import { removeAbandonedClusters, removeCluster, removeWhenOrphaned } from './removal.ts';
import { makeWorkFolder } from './workFolders.ts';

export interface ControlPlaneOptions {
  /** The API server's release; default: the one of the whole cluster. */
  readonly release?: KubernetesRelease;
  /** Whether garbage is collected and namespaces get service accounts and can be deleted; default: no. */
  readonly controllerManager?: boolean;
}

/**
 * Starts etcd and an API server, with no need for root or namespaces. There are no nodes, so no pod ever runs.
 * Rejects with ClusterError; nothing is left running then.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  await removeAbandonedClusters();
  const folder = await makeWorkFolder(false);
  try {
    await removeWhenOrphaned(new Processes(folder));
    const ports = { api: await freePort(), etcd: await freePort(), etcdPeer: await freePort() };
    const launched = await launchControlPlane({
      folder,
      release: options.release ?? '1.36',
      enter: [],
      bindAddress: '127.0.0.1',
      advertiseAddress: null,
      ports,
      apiServerUrl: `https://127.0.0.1:${ports.api}`,
    });
    const controlPlane = openControlPlane(launched.description);
    if (options.controllerManager === true) {
      await startControllerManager(launched);
      // It ends for good when the API server goes away while it starts.
      await controlPlane.kubectl(['wait', '--for=create', '--timeout=60s', 'serviceaccount/default']);
    }
    return controlPlane;
  } catch (error) {
    await removeCluster(folder);
    throw error;
  }
}
