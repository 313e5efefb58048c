/**
 * The namespaces of one node: network, mounts and process ids of its own, made and held by one process. Whatever runs
 * on the node ends with that process, and mounts and networks go with the last of them.
 */
import { readdir } from 'node:fs/promises';
import { ClusterError } from './clusterError.ts';
import { runCommand } from './commands.ts';
import { startAndAwaitLine } from './firstLine.ts';
import { type Processes, parentOf } from './processes.ts';

/** Address of a node in the network that only the cluster's nodes are in. */
export function nodeAddress(index: number): string {
  return `10.99.0.${index + 1}`;
}

/** Addresses of a node's pods. */
export function podRange(index: number): string {
  return `10.244.${index}.0/24`;
}

/**
 * Folders that programs write to wherever they are told to keep their files: on the node they are the cluster's.
 * /run holds the pods' network namespaces, containerd's sockets and runc's state.
 */
const OWN_FOLDERS = ['/var/lib/kubelet', '/var/lib/cni', '/var/log/pods', '/var/log/containers'];

/** The first process of the node. It takes notice of the end of processes whose own parent has ended. */
const FIRST_PROCESS = `set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/containerd /run/lock
for folder in ${OWN_FOLDERS.join(' ')}; do
  mkdir -p "$folder" "$1$folder"
  mount --bind "$1$folder" "$folder"
done
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo ready
exec >/dev/null
sleep infinity &
wait`;

/** Killed with its starter, the first process takes all others with it (pid_namespaces(7)). */
const UNSHARE = 'unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc';

export interface NodeNamespaces {
  /** The process that holds them, as this machine numbers it. */
  readonly pid: number;
  /** What runs a command in the node's network, with this machine's files and processes. */
  readonly inNetwork: readonly string[];
  /** What runs a command on the node: its network, mounts and process ids. */
  readonly onNode: readonly string[];
}

/** Makes the namespaces of a node, whose files are under `folder`. Needs root. */
export async function makeNodeNamespaces(
  processes: Processes,
  name: string,
  folder: string,
): Promise<NodeNamespaces> {
  const { process: holder } = await startAndAwaitLine(processes, name, [
    ...UNSHARE.split(' '),
    '/bin/sh',
    '-c',
    FIRST_PROCESS,
    'node',
    folder,
  ]);
  const pid = await childOf(holder.identity.pid);
  processes.record(`${name}-first`, pid);
  return enterNode(pid);
}

/** How to run commands in the namespaces that a process holds. */
export function enterNode(pid: number): NodeNamespaces {
  return {
    pid,
    inNetwork: ['nsenter', `--net=/proc/${pid}/ns/net`, '--'],
    onNode: ['nsenter', `--target=${pid}`, '--net', '--mount', '--pid', '--'],
  };
}

async function childOf(parent: number): Promise<number> {
  const child = (await readdir('/proc'))
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => parentOf(pid) === parent);
  if (child === undefined) throw new ClusterError('ended_early', 'the first process of a node has ended');
  return child;
}

/** Joins the nodes' networks by a bridge on the first node, where every node has its address. */
export async function joinNodes(nodes: readonly NodeNamespaces[]): Promise<void> {
  const [first, ...others] = nodes;
  if (first === undefined) return;
  const firstLines = [
    'ip link add nodes type bridge',
    `ip address add ${nodeAddress(0)}/24 dev nodes`,
    'ip link set nodes up',
    'ip route add default dev nodes',
  ];
  await runCommand([...first.inNetwork, '/bin/sh', '-ec', firstLines.join('\n')]);
  for (const [offset, node] of others.entries()) {
    const index = offset + 1;
    const address = nodeAddress(index);
    const bridgeLines = [
      `ip link add node${index} type veth peer name nodes netns ${node.pid}`,
      `ip link set node${index} master nodes up`,
      `ip route add ${podRange(index)} via ${address}`,
    ];
    await runCommand([...first.inNetwork, '/bin/sh', '-ec', bridgeLines.join('\n')]);
    const nodeLines = [
      `ip address add ${address}/24 dev nodes`,
      'ip link set nodes up',
      `ip route add default via ${nodeAddress(0)}`,
    ];
    await runCommand([...node.inNetwork, '/bin/sh', '-ec', nodeLines.join('\n')]);
  }
}
