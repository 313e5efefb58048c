/** Starts the processes of a control plane: etcd and kube-apiserver, then who works with its objects. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { startApiServer } from './apiServer.ts';
import { type CertificateSubject, ClusterAuthority } from './authority.ts';
import { runCommand } from './commands.ts';
import {
  apiServerFlags,
  auditPolicy,
  controllerManagerFlags,
  etcdFlags,
  schedulerFlags,
} from './components.ts';
import { auditLogOf, type ControlPlaneDescription, certificatesFolder } from './controlPlane.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { Processes } from './processes.ts';
import { type KubernetesRelease, programPath } from './programs.ts';

/** How a control plane is placed on the machine. */
export interface Placement {
  readonly folder: string;
  readonly release: KubernetesRelease;
  /** What runs a command in the network of the control plane. */
  readonly enter: readonly string[];
  readonly bindAddress: string;
  /** Where the cluster itself reaches the API server; null: there are no nodes. */
  readonly advertiseAddress: string | null;
  readonly ports: { readonly api: number; readonly etcd: number; readonly etcdPeer: number };
  /** Where this machine reaches the API server. */
  readonly apiServerUrl: string;
}

/** Where the control plane stands, for who adds parts to it. */
export interface LaunchedControlPlane {
  readonly description: ControlPlaneDescription;
  readonly processes: Processes;
  readonly authority: ClusterAuthority;
  readonly enter: readonly string[];
  /** A kubeconfig of a component, that reaches the API server from within the cluster's network; a path. */
  componentKubeconfig(fileName: string, subject: CertificateSubject): Promise<string>;
}

/** Starts etcd and the API server in a folder that is there, and resolves when they answer. */
export async function launchControlPlane(placement: Placement): Promise<LaunchedControlPlane> {
  const { folder, enter, ports, advertiseAddress, bindAddress, apiServerUrl } = placement;
  const processes = new Processes(folder);
  const etcdFolder = path.join(folder, 'etcd');
  await mkdir(etcdFolder, { mode: 0o700 });
  await processes.start('etcd', [
    ...enter,
    programPath('etcd'),
    ...etcdFlags({ folder: etcdFolder, clientPort: ports.etcd, peerPort: ports.etcdPeer }),
  ]);
  const certificates = certificatesFolder(folder);
  const authority = await ClusterAuthority.create(certificates);
  const addresses = ['127.0.0.1', '10.96.0.1', ...(advertiseAddress === null ? [] : [advertiseAddress])];
  const policy = path.join(folder, 'audit-policy.yaml');
  const [serving, kubeletClient, admin] = await Promise.all([
    authority.server('kube-apiserver', { commonName: 'kube-apiserver' }, [
      ...addresses.map((address) => `IP:${address}`),
      ...['localhost', 'kubernetes.default.svc'].map((name) => `DNS:${name}`),
    ]),
    authority.client('apiserver-to-kubelet', {
      commonName: 'kube-apiserver',
      organizations: ['system:masters'],
    }),
    authority.client('admin', { commonName: 'admin', organizations: ['system:masters'] }),
    makeServiceAccountKeys(certificates),
    writeFile(policy, auditPolicy()),
  ]);
  const ca = await readFile(authority.certificate, 'utf8');
  await writeKubeconfig({ server: apiServerUrl, ca }, admin);
  const apiServerCommand = [
    ...enter,
    programPath('kube-apiserver', placement.release),
    ...apiServerFlags({
      bindAddress,
      port: ports.api,
      advertiseAddress,
      etcdPort: ports.etcd,
      clientCa: authority.certificate,
      serving,
      kubeletClient,
      ...serviceAccountKeys(certificates),
      auditPolicy: policy,
      auditLog: auditLogOf(folder),
    }),
  ];
  const description = { folder, apiServerUrl, apiServerCommand };
  await startApiServer(description);
  const inside = { server: `https://${advertiseAddress ?? bindAddress}:${ports.api}`, ca };
  return {
    description,
    processes,
    authority,
    enter,
    componentKubeconfig: async (fileName, subject) =>
      await writeKubeconfig(inside, await authority.client(fileName, subject)),
  };
}

/** Starts the controllers: garbage collection, namespaces' deletion and service accounts, workloads, endpoints. */
export async function startControllerManager(controlPlane: LaunchedControlPlane): Promise<void> {
  const { processes, enter, authority, description } = controlPlane;
  const name = 'kube-controller-manager';
  const options = {
    kubeconfig: await controlPlane.componentKubeconfig(name, { commonName: `system:${name}` }),
    ca: authority.certificate,
    serviceAccountKey: serviceAccountKeys(certificatesFolder(description.folder)).serviceAccountKey,
  };
  await processes.start(name, [...enter, programPath(name), ...controllerManagerFlags(options)]);
}

/** Starts the scheduler. */
export async function startScheduler(controlPlane: LaunchedControlPlane): Promise<void> {
  const { processes, enter } = controlPlane;
  const name = 'kube-scheduler';
  const kubeconfig = await controlPlane.componentKubeconfig(name, { commonName: `system:${name}` });
  await processes.start(name, [...enter, programPath(name), ...schedulerFlags(kubeconfig)]);
}

/** With what the API server signs service accounts' tokens. */
function serviceAccountKeys(folder: string): { serviceAccountKey: string; serviceAccountPublicKey: string } {
  return {
    serviceAccountKey: path.join(folder, 'service-account.key'),
    serviceAccountPublicKey: path.join(folder, 'service-account.pub'),
  };
}

async function makeServiceAccountKeys(folder: string): Promise<void> {
  const { serviceAccountKey, serviceAccountPublicKey } = serviceAccountKeys(folder);
  const newKey = 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out';
  await runCommand([...newKey.split(' '), serviceAccountKey]);
  await runCommand(['openssl', 'pkey', '-in', serviceAccountKey, '-pubout', '-out', serviceAccountPublicKey]);
}
