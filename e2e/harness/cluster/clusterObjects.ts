/** Objects that a cluster has from its start: its DNS Service, and volumes for those who claim one. Pure. */
import { CLUSTER_DOMAIN, DNS_ADDRESS } from './nodeConfiguration.ts';

/** The name by which a KMS in the cluster's network is known, wherever pages and samples need one. */
export const KMS_HOST = 'keysecure.example.com';

/** CoreDNS for the cluster's names alone: the outside has no names here, but for that of a KMS on the first node. */
export function corefile(options: { address: string; kubeconfig: string }): string {
  return `.:53 {
  bind ${options.address}
  errors
  kubernetes ${CLUSTER_DOMAIN} in-addr.arpa {
    kubeconfig ${JSON.stringify(options.kubeconfig)}
    pods insecure
    ttl 5
  }
  hosts {
    ${options.address} ${KMS_HOST}
    fallthrough
  }
}
`;
}

/** resolv.conf for commands that run in the cluster's network; names are asked as in a pod of the default namespace. */
export function resolverConfiguration(address: string): string {
  const search = [`default.svc.${CLUSTER_DOMAIN}`, `svc.${CLUSTER_DOMAIN}`, CLUSTER_DOMAIN];
  return `nameserver ${address}\nsearch ${search.join(' ')}\noptions ndots:5\n`;
}

/** The Service kube-dns in front of the CoreDNS process, and what that process may read. */
export function dnsObjects(address: string): object[] {
  const name = 'kube-dns';
  const metadata = { name, namespace: 'kube-system' };
  const ports = (['UDP', 'TCP'] as const).map((protocol) => ({
    name: `dns-${protocol.toLowerCase()}`,
    port: 53,
    protocol,
  }));
  const roleName = 'system:coredns';
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: DNS_ADDRESS, ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address], conditions: { ready: true } }],
      ports,
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: roleName },
      rules: [
        { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: roleName },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: roleName },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: roleName }],
    },
  ];
}

/** The class of the nodes' own volumes. Claims that name no class get it. */
const LOCAL_CLASS = 'local';

export function localStorageClass(): object {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: {
      name: LOCAL_CLASS,
      annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
    },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  };
}

export type AccessMode = 'ReadWriteOnce' | 'ReadWriteOncePod';

/** A volume that is a folder of a node: other than hostPath, this type honours fsGroup. */
export function localVolume(options: {
  readonly name: string;
  readonly size: string;
  readonly path: string;
  readonly nodeName: string;
  /** Default: ReadWriteOnce. ReadWriteOncePod excludes all others. */
  readonly accessMode?: AccessMode;
  /** The one claim that may have it; default: any. */
  readonly claim?: { readonly namespace: string; readonly name: string };
}): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: options.name },
    spec: {
      capacity: { storage: options.size },
      accessModes: [options.accessMode ?? 'ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: LOCAL_CLASS,
      ...(options.claim === undefined ? {} : { claimRef: options.claim }),
      local: { path: options.path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            {
              matchExpressions: [
                { key: 'kubernetes.io/hostname', operator: 'In', values: [options.nodeName] },
              ],
            },
          ],
        },
      },
    },
  };
}
