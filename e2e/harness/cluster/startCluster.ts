/** Starts a whole cluster: namespaces, control plane, nodes and DNS. */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { busyboxArchive } from './busyboxImage.ts';
import { type Cluster, descriptionFile, openCluster, resolverFile } from './cluster.ts';
import { ClusterError } from './clusterError.ts';
import {
  corefile,
  dnsObjects,
  localStorageClass,
  localVolume,
  resolverConfiguration,
} from './clusterObjects.ts';
import {
  type LaunchedControlPlane,
  launchControlPlane,
  startControllerManager,
  startScheduler,
} from './launchControlPlane.ts';
import {
  type ClusterNode,
  describeNode,
  importImage,
  startContainerd,
  startKubelet,
  startKubeProxy,
} from './node.ts';
import { CLUSTER_DOMAIN, DNS_ADDRESS } from './nodeConfiguration.ts';
import { joinNodes, makeNodeNamespaces, nodeAddress } from './nodeNamespaces.ts';
import { Processes } from './processes.ts';
import { programPath } from './programs.ts';
import { startRelay } from './relay.ts';
import { removeAbandonedClusters, removeCluster, removeWhenOrphaned } from './removal.ts';
import { makeWorkFolder } from './workFolders.ts';

const DNS_LIMIT_MS = 60_000;

/** In the cluster's own network every port is free. */
const PORTS = { api: 6443, etcd: 2379, etcdPeer: 2380 };

export interface ClusterOptions {
  /** Default: 1. */
  readonly nodes?: 1 | 2;
  /** How many PersistentVolumes there are from the start on the first node, of 1Gi each; default: 16. */
  readonly volumes?: number;
  /** Whether the cluster stays when this process ends; default: no. */
  readonly detached?: boolean;
}

/**
 * Starts a cluster and resolves when its nodes are Ready and names are answered. Needs root; whyNoCluster() tells what
 * else. What earlier ones left whose starter is gone is removed before.
 * Rejects with ClusterError; nothing is left running then.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  await removeAbandonedClusters();
  const folder = await makeWorkFolder(options.detached === true);
  try {
    const processes = new Processes(folder);
    if (options.detached !== true) await removeWhenOrphaned(processes);
    const nodes = await makeNodes(processes, options.nodes ?? 1);
    const [controlPlane] = await Promise.all([
      placeControlPlane(processes, nodes),
      prepareContainers(processes, nodes),
    ]);
    await startRest(controlPlane, nodes, options.volumes ?? 16);
    return openCluster(folder);
  } catch (error) {
    await removeCluster(folder);
    throw error;
  }
}

async function makeNodes(processes: Processes, count: number): Promise<ClusterNode[]> {
  const indexes = Array.from({ length: count }, (_, index) => index);
  const nodes = await Promise.all(
    indexes.map(async (index) => {
      const nodeFolder = path.join(processes.folder, `node-${index}`);
      await mkdir(nodeFolder);
      const namespaces = await makeNodeNamespaces(processes, `node-${index}`, nodeFolder);
      return describeNode(processes.folder, index, namespaces);
    }),
  );
  await joinNodes(nodes.map((node) => node.namespaces));
  return nodes;
}

/** The control plane lives in the first node's network: pods reach it, and it reaches pods and Services. */
async function placeControlPlane(
  processes: Processes,
  nodes: readonly ClusterNode[],
): Promise<LaunchedControlPlane> {
  const { folder } = processes;
  const [first] = nodes;
  if (first === undefined) throw new RangeError('a cluster has at least one node');
  const address = first.address;
  const [port = 0] = await startRelay(processes, first.namespaces.pid, [`${address}:${PORTS.api}`]);
  const launched = await launchControlPlane({
    folder,
    release: '1.36',
    enter: first.namespaces.inNetwork,
    bindAddress: '0.0.0.0',
    advertiseAddress: address,
    ports: PORTS,
    apiServerUrl: `https://127.0.0.1:${port}`,
  });
  const nodePids = nodes.map((node) => node.namespaces.pid);
  await writeFile(descriptionFile(folder), JSON.stringify({ ...launched.description, nodePids }));
  await writeFile(resolverFile(folder), resolverConfiguration(address));
  return launched;
}

/** No pod starts without the image of every pod's own first container. */
async function prepareContainers(processes: Processes, nodes: readonly ClusterNode[]): Promise<void> {
  const archive = path.join(processes.folder, 'busybox.tar');
  await writeFile(archive, await busyboxArchive());
  await Promise.all(
    nodes.map(async (node) => {
      await startContainerd(processes, node);
      await importImage(node, archive);
    }),
  );
}

async function startRest(
  controlPlane: LaunchedControlPlane,
  nodes: readonly ClusterNode[],
  volumes: number,
): Promise<void> {
  const cluster = openCluster(controlPlane.description.folder);
  await Promise.all([
    startControllerManager(controlPlane),
    startScheduler(controlPlane),
    ...nodes.flatMap((node) => [startKubelet(controlPlane, node), startKubeProxy(controlPlane, node)]),
    startDns(controlPlane, cluster),
    cluster.apply(localStorageClass(), ...(await volumePool(nodes, volumes))),
  ]);
  const names = nodes.map((node) => `node/${node.name}`);
  await cluster.kubectl(['wait', '--for=create', '--timeout=60s', ...names]);
  await cluster.kubectl(['wait', '--for=condition=Ready', '--timeout=60s', ...names]);
  // Without it the API server refuses pods of the namespace.
  await cluster.kubectl(['wait', '--for=create', '--timeout=60s', 'serviceaccount/default']);
  await whenNamesAreAnswered(cluster);
}

async function volumePool(nodes: readonly ClusterNode[], count: number): Promise<object[]> {
  const [first] = nodes;
  if (first === undefined) return [];
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const name = `pool-${index}`;
      const volumeFolder = path.join(first.folder, 'volumes', name);
      await mkdir(volumeFolder, { recursive: true });
      // Claims ask for the one or the other, and a volume has one mode.
      const accessMode = index % 2 === 0 ? 'ReadWriteOnce' : 'ReadWriteOncePod';
      return localVolume({ name, size: '1Gi', path: volumeFolder, nodeName: first.name, accessMode });
    }),
  );
}

/** CoreDNS as a process beside the control plane, behind the Service kube-dns. */
async function startDns(controlPlane: LaunchedControlPlane, cluster: Cluster): Promise<void> {
  const { processes, enter, description } = controlPlane;
  // Its rights first: refused, it would try again only after some time.
  await cluster.apply(...dnsObjects(nodeAddress(0)));
  const kubeconfig = await controlPlane.componentKubeconfig('coredns', { commonName: 'system:coredns' });
  const configuration = path.join(description.folder, 'Corefile');
  await writeFile(configuration, corefile({ address: nodeAddress(0), kubeconfig }));
  await processes.start('coredns', [...enter, programPath('coredns'), '-conf', configuration]);
}

/** Through the Service, so kube-proxy has done its first work too. */
async function whenNamesAreAnswered(cluster: Cluster): Promise<void> {
  const question = ['busybox', 'nslookup', `kubernetes.default.svc.${CLUSTER_DOMAIN}`, DNS_ADDRESS];
  const limitMs = Date.now() + DNS_LIMIT_MS;
  for (;;) {
    try {
      await cluster.inNetwork(question, { signal: AbortSignal.timeout(DNS_LIMIT_MS) });
      return;
    } catch (error) {
      if (Date.now() > limitMs) {
        throw new ClusterError('not_ready', 'no names are answered in the cluster', { cause: error });
      }
    }
    await delay(100);
  }
}
