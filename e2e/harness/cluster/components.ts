/** The command lines of etcd and of Kubernetes' control plane, as pure functions. Sources: each program's --help. */
import { stringify } from 'yaml';
import type { CertificateFiles } from '../certificates.ts';

/** Addresses of Services: none of them exists outside the cluster's network. */
const SERVICE_RANGE = '10.96.0.0/16';
/** Addresses of pods; a node has a /24 of it. */
export const POD_RANGE = '10.244.0.0/16';

const ISSUER = 'https://kubernetes.default.svc.cluster.local';

function flags(values: Readonly<Record<string, string | number | boolean>>): string[] {
  return Object.entries(values).map(([name, value]) => `--${name}=${value}`);
}

/** etcd for one member. Nothing is synced to disk: a test's cluster does not outlive its machine. */
export function etcdFlags(options: { folder: string; clientPort: number; peerPort: number }): string[] {
  const client = `http://127.0.0.1:${options.clientPort}`;
  const peer = `http://127.0.0.1:${options.peerPort}`;
  return flags({
    name: 'etcd',
    'data-dir': options.folder,
    'listen-client-urls': client,
    'advertise-client-urls': client,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': `etcd=${peer}`,
    'unsafe-no-fsync': true,
    'log-level': 'warn',
  });
}

export interface ApiServerOptions {
  /** The address it listens on. */
  readonly bindAddress: string;
  readonly port: number;
  /** The address that pods reach it at; the loopback is refused. Null: the cluster has no pods. */
  readonly advertiseAddress: string | null;
  readonly etcdPort: number;
  readonly clientCa: string;
  readonly serving: CertificateFiles;
  /** With what it speaks to kubelets. */
  readonly kubeletClient: CertificateFiles;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  readonly auditPolicy: string;
  readonly auditLog: string;
}

export function apiServerFlags(options: ApiServerOptions): string[] {
  const { advertiseAddress } = options;
  return flags({
    'bind-address': options.bindAddress,
    'secure-port': options.port,
    // An address for documentation (RFC 5737): published nowhere, since nothing reconciles the Service's endpoints.
    'advertise-address': advertiseAddress ?? '192.0.2.1',
    'endpoint-reconciler-type': advertiseAddress === null ? 'none' : 'lease',
    'etcd-servers': `http://127.0.0.1:${options.etcdPort}`,
    'service-cluster-ip-range': SERVICE_RANGE,
    'authorization-mode': 'Node,RBAC',
    'enable-admission-plugins': 'NodeRestriction',
    'client-ca-file': options.clientCa,
    'tls-cert-file': options.serving.cert,
    'tls-private-key-file': options.serving.key,
    'kubelet-certificate-authority': options.clientCa,
    'kubelet-client-certificate': options.kubeletClient.cert,
    'kubelet-client-key': options.kubeletClient.key,
    // By name, exec and logs would look the node up in the machine's DNS.
    'kubelet-preferred-address-types': 'InternalIP',
    'service-account-issuer': ISSUER,
    'service-account-key-file': options.serviceAccountPublicKey,
    'service-account-signing-key-file': options.serviceAccountKey,
    'audit-policy-file': options.auditPolicy,
    'audit-log-path': options.auditLog,
    profiling: false,
  });
}

export interface ManagerOptions {
  readonly kubeconfig: string;
  readonly ca: string;
  readonly serviceAccountKey: string;
}

/** Port 0: it serves nothing, so any number of control planes can share a machine. */
export function controllerManagerFlags(options: ManagerOptions): string[] {
  return flags({
    kubeconfig: options.kubeconfig,
    'root-ca-file': options.ca,
    'service-account-private-key-file': options.serviceAccountKey,
    'use-service-account-credentials': true,
    'leader-elect': false,
    'secure-port': 0,
    profiling: false,
  });
}

export function schedulerFlags(kubeconfig: string): string[] {
  return flags({ kubeconfig, 'leader-elect': false, 'secure-port': 0, profiling: false });
}

/** Who did what, without bodies: enough to compare the rights that are used with those that are granted. */
export function auditPolicy(): string {
  return stringify({
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [{ level: 'Metadata' }],
  });
}
