/** The real operator and the real data plane on a control plane without nodes, with a KMIP server that can be counted. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../../operator/clock.ts';
import { ObjectCache } from '../../../operator/kube/cache.ts';
import { ENCRYPTED_BUCKET, KMS_CONNECTION } from '../../../operator/kube/kinds.ts';
import { Reflector } from '../../../operator/kube/reflector.ts';
import type { KubeObject, ResourceType } from '../../../operator/kube/resource.ts';
import { makeCertificates } from '../../harness/certificates.ts';
import { CHART } from '../../harness/chart.ts';
import type { ControlPlane } from '../../harness/cluster/controlPlane.ts';
import { startControlPlane } from '../../harness/cluster/startControlPlane.ts';
import { freePort } from '../../harness/freePort.ts';
import { type ScriptedKms, startScriptedKms } from '../../harness/scriptedKms/scriptedKms.ts';
import { log, Runtime } from '../operatorRuntime/cluster.ts';
import { OperatorProcess } from '../operatorRuntime/operatorProcess.ts';
import { type Kubelet, startKubelet } from './kubelet.ts';

const FLEET = { name: 'sealgate', namespace: 'storage' };
/** Where the KMSConnection is, which permits every namespace. */
const KMS_NAMESPACE = 'kms';
const CONNECTION = { namespace: KMS_NAMESPACE, name: 'main' };
const SERVICE_ACCOUNT = `system:serviceaccount:${FLEET.namespace}:sealgate-operator`;

export interface ScaleInstallation extends AsyncDisposable {
  readonly plane: ControlPlane;
  readonly runtime: Runtime;
  readonly kms: ScriptedKms;
  readonly operator: OperatorProcess;
  readonly kubelet: Kubelet;
  /** All EncryptedBuckets, kept up to now. */
  readonly buckets: ObjectCache;
  readonly connections: ObjectCache;
  /** User of the operator in the audit log. */
  readonly operatorUser: string;
  /** The text of the operator's /metrics. */
  metrics(): Promise<string>;
}

/** An EncryptedBucket with one access entry. */
export function bucketObject(namespace: string, name: string): KubeObject {
  return {
    apiVersion: 'sealgate.io/v1alpha1',
    kind: 'EncryptedBucket',
    metadata: { namespace, name },
    spec: {
      kmsConnectionRef: CONNECTION,
      access: [{ name: 'app', permissions: 'ReadWrite', secretName: `${name}-access` }],
      deletionPolicy: 'DeleteIfEmpty',
    },
  };
}

/** Resolves when the operator leads; the connection is declared. */
export async function installForScale(namespaces: readonly string[]): Promise<ScaleInstallation> {
  await using started = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'sealgate-scale-'));
  started.defer(async () => await rm(folder, { recursive: true, force: true }));
  const plane = await startControlPlane();
  started.defer(async () => await plane.close());
  const certificates = await makeCertificates(path.join(folder, 'kms'));
  const kms = started.use(await startScriptedKms({ certificates }));
  await plane.apply(
    ...[FLEET.namespace, KMS_NAMESPACE, ...namespaces].map((name) => ({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name },
    })),
  );
  await plane.helm(['install', FLEET.name, CHART, '-n', FLEET.namespace]);
  const kubeconfig = await plane.serviceAccountKubeconfig(FLEET.namespace, 'sealgate-operator');
  const healthPort = await freePort();
  const operator = new OperatorProcess(kubeconfig, [
    `--namespace=${FLEET.namespace}`,
    `--health-listen=127.0.0.1:${healthPort}`,
  ]);
  started.defer(async () => {
    operator.kill('SIGTERM');
    await operator.exited;
  });
  const runtime = new Runtime(plane.kubeconfig);
  started.defer(async () => await runtime.close());
  const kubelet = started.use(await startKubelet({ runtime, folder, fleet: FLEET }));
  const { ca, client } = certificates;
  await plane.apply(
    {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { ...CONNECTION, name: 'client' },
      stringData: {
        'tls.crt': await readFile(client.cert, 'utf8'),
        'tls.key': await readFile(client.key, 'utf8'),
        'ca.crt': await readFile(ca, 'utf8'),
      },
    },
    {
      apiVersion: 'sealgate.io/v1alpha1',
      kind: 'KMSConnection',
      metadata: CONNECTION,
      spec: {
        provider: 'KMIP',
        kmip: {
          endpoints: [{ host: kms.host, port: kms.port }],
          tls: { secretRef: { name: 'client' } },
        },
        allowedNamespaces: { from: 'All' },
      },
    },
  );
  await operator.said('leading');
  const end = new AbortController();
  started.defer(() => end.abort());
  const watched = (type: ResourceType): { cache: ObjectCache; ended: Promise<void> } => {
    const cache = new ObjectCache({ type });
    const parts = { clock: systemClock, random: Math.random, log, metrics: runtime.metrics };
    return { cache, ended: new Reflector({ api: runtime.client, cache, ...parts }).run(end.signal) };
  };
  const [buckets, connections] = [watched(ENCRYPTED_BUCKET), watched(KMS_CONNECTION)];
  await Promise.all([buckets, connections].map(({ cache }) => cache.whenSynced(end.signal)));
  const parts = started.move();
  return {
    plane,
    runtime,
    kms,
    operator,
    kubelet,
    operatorUser: SERVICE_ACCOUNT,
    buckets: buckets.cache,
    connections: connections.cache,
    metrics: async () => await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text(),
    [Symbol.asyncDispose]: async () => await parts.disposeAsync(),
  };
}
