/** Configuration of what runs on a node: containerd, its CNI network, kubelet and kube-proxy. Pure functions. */
import type { CertificateFiles } from '../certificates.ts';
import { POD_RANGE } from './components.ts';

/** Where containerd answers on the node. */
export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
/** The address of the Service through which pods ask for names. */
export const DNS_ADDRESS = '10.96.0.10';
export const CLUSTER_DOMAIN = 'cluster.local';

/** containerd 1.6 (configuration version 2). Strings are JSON's, which TOML reads alike. */
export function containerdConfiguration(options: {
  root: string;
  networkFolder: string;
  sandboxImage: string;
}): string {
  const text = (value: string) => JSON.stringify(value);
  return `version = 2
root = ${text(options.root)}
state = "/run/containerd"
disabled_plugins = [${['aufs', 'btrfs', 'devmapper', 'zfs'].map((name) => text(`io.containerd.snapshotter.v1.${name}`)).join(', ')}, "io.containerd.internal.v1.opt"]
[grpc]
  address = ${text(CONTAINERD_SOCKET)}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = ${text(options.sandboxImage)}
  # This machine may not lower a process's score; without this every pod fails.
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "overlayfs"
  default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
  SystemdCgroup = false
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = ${text(options.networkFolder)}
`;
}

/** The pods' network: one bridge per node. It enforces no NetworkPolicy. */
export function networkConfiguration(podRange: string, folder: string): object {
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: 'pods',
        isGateway: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: folder,
          ranges: [[{ subnet: podRange }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

export interface KubeletOptions {
  readonly address: string;
  readonly clientCa: string;
  readonly serving: CertificateFiles;
  /** As a path from where cgroups are mounted; it must be there. */
  readonly cgroupRoot: string;
}

export function kubeletConfiguration(options: KubeletOptions): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: options.address,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: options.clientCa },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: options.serving.cert,
    tlsPrivateKeyFile: options.serving.key,
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: options.cgroupRoot,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    oomScoreAdj: 0,
    clusterDNS: [DNS_ADDRESS],
    clusterDomain: CLUSTER_DOMAIN,
    resolvConf: '',
    // However full this machine's disk is, pods are not evicted and images stay.
    evictionHard: {
      'memory.available': '0%',
      'nodefs.available': '0%',
      'nodefs.inodesFree': '0%',
      'imagefs.available': '0%',
      'imagefs.inodesFree': '0%',
    },
    imageGCHighThresholdPercent: 100,
    // As on real nodes: a shorter one would hide how slowly mounted Secrets change.
    syncFrequency: '1m',
  };
}

export function kubeProxyConfiguration(options: { nodeName: string; kubeconfig: string }): object {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: options.kubeconfig },
    clusterCIDR: POD_RANGE,
    hostnameOverride: options.nodeName,
    oomScoreAdj: 0,
    // These limits are the whole machine's, so they are left alone.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
}
