/**
 * A whole Kubernetes cluster on this machine: a control plane, and nodes that run containers.
 *
 * Owns its network, which nothing outside reaches but through relays on the loopback, and everything it leaves on the
 * machine. It installs nothing of ours: tests do that with kubectl and helm, as people do.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { type AccessMode, localVolume } from './clusterObjects.ts';
import { type CommandOptions, runCommand } from './commands.ts';
import { type ControlPlane, openControlPlane } from './controlPlane.ts';
import { type ClusterNode, describeNode, importImage } from './node.ts';
import { enterNode } from './nodeNamespaces.ts';
import { Processes } from './processes.ts';
import { startRelay } from './relay.ts';

/** All that is to be known of a running cluster. */
const DESCRIPTION = z.object({
  folder: z.string(),
  apiServerUrl: z.string(),
  apiServerCommand: z.array(z.string()),
  /** The processes that hold the nodes' namespaces. */
  nodePids: z.array(z.int().positive()).min(1),
});

export interface VolumeOptions {
  readonly name: string;
  /** As Kubernetes writes quantities: 1Gi. It is not enforced. */
  readonly size: string;
  /** Default: ReadWriteOnce. */
  readonly accessMode?: AccessMode;
  /** The one claim that may have it; default: any. */
  readonly claim?: { readonly namespace: string; readonly name: string };
  /** Index of the node that has it; default: the first. */
  readonly node?: number;
}

export interface Cluster extends ControlPlane {
  readonly nodes: readonly ClusterNode[];
  /** The first node's address, where programs started by inNetwork() can be reached by pods: 10.99.0.1. */
  readonly nodeAddress: string;
  /**
   * What runs a command in the first node's network, where pods, Services and their DNS names can be reached, with this
   * machine's files: put it before a command that some other part starts.
   */
  readonly enter: readonly string[];
  /** Runs a command there and resolves with its output; rejects with ClusterError `command_failed`. */
  inNetwork(command: readonly string[], options?: CommandOptions): Promise<string>;
  /** Opens a port of this machine's loopback that leads to an address in the cluster; the port. */
  forward(address: string, port: number): Promise<number>;
  /** Puts an OCI archive's images on all nodes. */
  importImage(archive: string): Promise<void>;
  /** Makes a PersistentVolume of class `local`; the folder that it is. */
  localVolume(options: VolumeOptions): Promise<string>;
}

/** Where a cluster keeps its description. */
export function descriptionFile(folder: string): string {
  return path.join(folder, 'cluster.json');
}

/** Where commands that run in the cluster's network learn whom to ask for names. */
export function resolverFile(folder: string): string {
  return path.join(folder, 'resolv.conf');
}

/** The cluster whose processes were started, by this process or another, in a folder. */
export function openCluster(folder: string): Cluster {
  const description = DESCRIPTION.parse(JSON.parse(readFileSync(descriptionFile(folder), 'utf8')));
  const nodes = description.nodePids.map((pid, index) => describeNode(folder, index, enterNode(pid)));
  const [first] = nodes;
  if (first === undefined) throw new RangeError('a cluster has at least one node');
  const controlPlane = openControlPlane(description);
  // The machine's own resolv.conf would be asked for names that only the cluster knows.
  const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
  const unshare = 'unshare --mount --propagation private -- /bin/sh -c'.split(' ');
  const enter = [...first.namespaces.inNetwork, ...unshare, script, resolverFile(folder)];
  return {
    ...controlPlane,
    nodes,
    nodeAddress: first.address,
    enter,
    inNetwork: async (command, options) => await runCommand([...enter, ...command], options),
    forward: async (address, port) => {
      const [opened = 0] = await startRelay(new Processes(folder), first.namespaces.pid, [
        `${address}:${port}`,
      ]);
      return opened;
    },
    importImage: async (archive) => {
      for (const node of nodes) await importImage(node, path.resolve(archive));
    },
    localVolume: async ({ node: index = 0, ...volume }) => {
      const { name } = volume;
      const node = nodes[index];
      if (node === undefined) throw new RangeError(`there is no node ${index}`);
      const volumeFolder = path.join(node.folder, 'volumes', `${name}-${randomBytes(4).toString('hex')}`);
      await mkdir(volumeFolder, { recursive: true });
      await controlPlane.apply(localVolume({ ...volume, path: volumeFolder, nodeName: node.name }));
      return volumeFolder;
    },
  };
}
