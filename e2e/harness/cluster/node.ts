/** What runs on one node: containerd, kubelet and kube-proxy. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BUSYBOX_IMAGE } from './busyboxImage.ts';
import { makeCgroups } from './cgroups.ts';
import { ClusterError } from './clusterError.ts';
import { runCommand } from './commands.ts';
import type { LaunchedControlPlane } from './launchControlPlane.ts';
import {
  CONTAINERD_SOCKET,
  containerdConfiguration,
  kubeletConfiguration,
  kubeProxyConfiguration,
  networkConfiguration,
} from './nodeConfiguration.ts';
import { type NodeNamespaces, nodeAddress, podRange } from './nodeNamespaces.ts';
import { type Processes, stillRuns } from './processes.ts';
import { programPath } from './programs.ts';
import { clusterName } from './workFolders.ts';

const CONTAINERD_LIMIT_MS = 30_000;

export interface ClusterNode {
  readonly name: string;
  readonly index: number;
  readonly address: string;
  readonly namespaces: NodeNamespaces;
  /** Its files: logs, images, volumes. */
  readonly folder: string;
}

/** A node's name and places; nothing is made. */
export function describeNode(folder: string, index: number, namespaces: NodeNamespaces): ClusterNode {
  return {
    name: `node-${index}`,
    index,
    address: nodeAddress(index),
    namespaces,
    folder: path.join(folder, `node-${index}`),
  };
}

/** Starts containerd and resolves when it answers. */
export async function startContainerd(processes: Processes, node: ClusterNode): Promise<void> {
  const networkFolder = path.join(node.folder, 'net.d');
  await mkdir(networkFolder, { recursive: true });
  const network = networkConfiguration(podRange(node.index), path.join(node.folder, 'addresses'));
  await writeFile(path.join(networkFolder, 'pods.conflist'), JSON.stringify(network));
  const configuration = path.join(node.folder, 'containerd.toml');
  const root = path.join(node.folder, 'containerd');
  await writeFile(
    configuration,
    containerdConfiguration({ root, networkFolder, sandboxImage: BUSYBOX_IMAGE }),
  );
  const process = await processes.start(`${node.name}-containerd`, [
    ...node.namespaces.onNode,
    'containerd',
    `--config=${configuration}`,
  ]);
  const limitMs = Date.now() + CONTAINERD_LIMIT_MS;
  for (;;) {
    try {
      await ctr(node, ['version']);
      return;
    } catch (error) {
      if (!stillRuns(process.identity) || Date.now() > limitMs) {
        throw new ClusterError('not_ready', `containerd does not answer\n${process.logTail()}`, {
          cause: error,
        });
      }
    }
    await delay(50);
  }
}

/** Puts the images of an OCI archive where pods find them. */
export async function importImage(node: ClusterNode, archive: string): Promise<void> {
  await ctr(node, ['--namespace', 'k8s.io', 'images', 'import', archive]);
}

async function ctr(node: ClusterNode, args: readonly string[]): Promise<string> {
  return await runCommand([...node.namespaces.onNode, 'ctr', `--address=${CONTAINERD_SOCKET}`, ...args]);
}

/** Starts kubelet and kube-proxy; the node is Ready some time later. */
export async function startKubelet(controlPlane: LaunchedControlPlane, node: ClusterNode): Promise<void> {
  const { authority, processes } = controlPlane;
  const { name, address, folder, namespaces } = node;
  const user = `system:node:${name}`;
  const cgroup = `${clusterName(controlPlane.description.folder)}-${node.index}`;
  const [kubeconfig, serving] = await Promise.all([
    controlPlane.componentKubeconfig(name, { commonName: user, organizations: ['system:nodes'] }),
    authority.server(`${name}-serving`, { commonName: user, organizations: ['system:nodes'] }, [
      `IP:${address}`,
      `DNS:${name}`,
    ]),
    makeCgroups(cgroup),
  ]);
  const configuration = path.join(folder, 'kubelet.json');
  const options = { address, clientCa: authority.certificate, serving, cgroupRoot: `/${cgroup}` };
  await writeFile(configuration, JSON.stringify(kubeletConfiguration(options)));
  await processes.start(`${name}-kubelet`, [
    ...namespaces.onNode,
    programPath('kubelet'),
    `--config=${configuration}`,
    `--kubeconfig=${kubeconfig}`,
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
  ]);
}

/** Starts kube-proxy, which makes Services reachable on the node. */
export async function startKubeProxy(controlPlane: LaunchedControlPlane, node: ClusterNode): Promise<void> {
  const { name, folder, namespaces } = node;
  const kubeconfig = await controlPlane.componentKubeconfig(`${name}-kube-proxy`, {
    commonName: 'system:kube-proxy',
  });
  const configuration = path.join(folder, 'kube-proxy.json');
  await writeFile(configuration, JSON.stringify(kubeProxyConfiguration({ nodeName: name, kubeconfig })));
  await controlPlane.processes.start(`${name}-kube-proxy`, [
    ...namespaces.inNetwork,
    programPath('kube-proxy'),
    `--config=${configuration}`,
  ]);
}
