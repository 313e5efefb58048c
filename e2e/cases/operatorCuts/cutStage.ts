/**
 * Where the operator is cut off: a real API server, a data plane and a KMS on the loopback, and one operator at a time
 * as a process of this machine, with the rights that the chart gives it.
 *
 * Owns all of them. What a case does to resources and what it expects is the case's.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { AdminClient } from '../../../operator/admin/adminClient.ts';
import type { ObjectCache } from '../../../operator/kube/cache.ts';
import { ENCRYPTED_BUCKET, KMS_CONNECTION, SECRET } from '../../../operator/kube/kinds.ts';
import type { KubeObject, ResourceType } from '../../../operator/kube/resource.ts';
import { makeCertificates } from '../../harness/certificates.ts';
import { CHART } from '../../harness/chart.ts';
import type { ControlPlane } from '../../harness/cluster/controlPlane.ts';
import { startControlPlane } from '../../harness/cluster/startControlPlane.ts';
import { type ScriptedKms, startScriptedKms } from '../../harness/scriptedKms/scriptedKms.ts';
import { Runtime } from '../operatorRuntime/cluster.ts';
import { type HostedPod, startHostedPod } from './hostedPod.ts';
import { compileOperator, KeptOperator, type KeptOperatorOptions, LEASE_2S } from './keptOperator.ts';

export const FLEET = { namespace: 'storage', name: 'sealgate' } as const;
export const TEAM = 'team';

/** What the cache knows of the three kinds that reconciles change. */
export interface StageCaches {
  readonly connections: ObjectCache;
  readonly buckets: ObjectCache;
  readonly secrets: ObjectCache;
}

interface StageParts {
  readonly plane: ControlPlane;
  readonly runtime: Runtime;
  readonly caches: StageCaches;
  readonly kms: ScriptedKms;
  readonly pod: HostedPod;
  readonly operators: KeptOperator[];
  readonly folder: string;
  readonly kubeconfig: string;
  /** The client certificate for connections, as a Secret has it. */
  readonly material: Readonly<Record<string, string>>;
  /** Ends everything. */
  readonly ends: AsyncDisposableStack;
}

export class CutStage {
  readonly plane: ControlPlane;
  readonly runtime: Runtime;
  readonly caches: StageCaches;
  readonly kms: ScriptedKms;
  readonly pod: HostedPod;
  readonly #parts: StageParts;

  private constructor(parts: StageParts) {
    ({ plane: this.plane, runtime: this.runtime, caches: this.caches, kms: this.kms, pod: this.pod } = parts);
    this.#parts = parts;
  }

  static async start(): Promise<CutStage> {
    // What was started ends also when a later part does not start.
    await using ends = new AsyncDisposableStack();
    const folder = await mkdtemp(path.join(tmpdir(), 'sealgate-cuts-'));
    ends.defer(async () => await rm(folder, { recursive: true }));
    const plane = await startControlPlane();
    ends.defer(async () => await plane.close());
    const certificates = await makeCertificates(path.join(folder, 'kms'));
    const kms = await startScriptedKms({ certificates });
    ends.defer(async () => await kms.stop());
    for (const name of [FLEET.namespace, TEAM]) await plane.kubectl(['create', 'namespace', name]);
    await plane.helm(['install', FLEET.name, CHART, '-n', FLEET.namespace]);
    const kubeconfig = await plane.serviceAccountKubeconfig(FLEET.namespace, `${FLEET.name}-operator`);
    await compileOperator(compiledIn(folder));
    const operator = new KeptOperator(operatorOptions(kubeconfig, folder, 'first', LEASE_2S));
    const operators = [operator];
    ends.defer(async () => {
      for (const one of operators) await one.close();
    });
    const runtime = new Runtime(plane.kubeconfig);
    ends.defer(async () => await runtime.close());
    const cacheOf = async (type: ResourceType): Promise<ObjectCache> =>
      await runtime.cache({ type, namespaces: [TEAM] });
    const caches = {
      connections: await cacheOf(KMS_CONNECTION),
      buckets: await cacheOf(ENCRYPTED_BUCKET),
      secrets: await cacheOf(SECRET),
    };
    const pod = await startHostedPod({
      plane,
      runtime,
      namespace: FLEET.namespace,
      fleetName: FLEET.name,
      folder: path.join(folder, 'dataplane'),
    });
    ends.defer(async () => await pod.close());
    await operator.leading();
    const material = {
      'tls.crt': await readFile(certificates.client.cert, 'base64'),
      'tls.key': await readFile(certificates.client.key, 'base64'),
      'ca.crt': await readFile(certificates.ca, 'base64'),
    };
    const parts = { plane, runtime, caches, kms, pod, operators, folder, kubeconfig, material };
    return new CutStage({ ...parts, ends: ends.move() });
  }

  /** The one that was started last. */
  get operator(): KeptOperator {
    const last = this.#parts.operators.at(-1);
    if (last === undefined) throw new Error('the first operator is started with the stage');
    return last;
  }

  /** Another operator, beside those that run. */
  startOperator(identity: string, lease: readonly string[]): KeptOperator {
    const { kubeconfig, folder, operators } = this.#parts;
    const started = new KeptOperator(operatorOptions(kubeconfig, folder, identity, lease));
    operators.push(started);
    return started;
  }

  async create(kind: 'KMSConnection' | 'EncryptedBucket', name: string, spec: object): Promise<void> {
    const type = kind === 'KMSConnection' ? KMS_CONNECTION : ENCRYPTED_BUCKET;
    await this.runtime.client.create(type, {
      apiVersion: 'sealgate.io/v1alpha1',
      kind,
      metadata: { namespace: TEAM, name },
      spec,
    });
  }

  /** The client certificate of a connection, and the connection. */
  async connect(name: string): Promise<void> {
    await this.runtime.client.create(SECRET, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: TEAM, name: `${name}-client` },
      type: 'kubernetes.io/tls',
      data: this.#parts.material,
    });
    const endpoints = [{ host: '127.0.0.1', port: this.kms.port }];
    const tls = { secretRef: { name: `${name}-client` } };
    await this.create('KMSConnection', name, { provider: 'KMIP', kmip: { endpoints, tls } });
  }

  /** The data plane's admin port, as a person uses it. */
  async asPerson<T>(act: (admin: AdminClient) => Promise<T>): Promise<T> {
    const { namespace, name } = FLEET;
    const read = async (secret: string, field: string): Promise<string> => {
      const found = await this.runtime.client.get(SECRET, { namespace, name: `${name}-${secret}` });
      const data = z.record(z.string(), z.string()).parse(found?.['data']);
      return Buffer.from(data[field] ?? '', 'base64').toString('utf8');
    };
    const [token = ''] = (await read('config', 'admin.token')).split('\n');
    const { hostname: host, port } = new URL(this.pod.process.adminEndpoint);
    const target = { host, port: Number(port), caBundle: await read('ca', 'ca.crt') };
    const admin = new AdminClient(target, {
      token: () => token,
      epoch: () => null,
      deposed: () => undefined,
    });
    try {
      return await act(admin);
    } finally {
      await admin.close();
    }
  }

  async close(): Promise<void> {
    await this.#parts.ends.disposeAsync();
  }
}

const compiledIn = (folder: string): string => path.join(folder, 'compiled');

function operatorOptions(
  kubeconfig: string,
  folder: string,
  identity: string,
  lease: readonly string[],
): KeptOperatorOptions {
  const { namespace, name } = FLEET;
  const args = [`--namespace=${namespace}`, `--name=${name}`, `--identity=${identity}`, ...lease];
  return { kubeconfig, args, compiled: compiledIn(folder) };
}

const conditions = z.object({
  metadata: z.object({ generation: z.int() }),
  status: z.object({
    observedGeneration: z.int().optional(),
    conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string() })),
  }),
});

/** Whether the resource is Ready in its present form. */
export function isReady(object: KubeObject | undefined): boolean {
  const { data } = conditions.safeParse(object);
  return (
    data !== undefined &&
    data.status.observedGeneration === data.metadata.generation &&
    data.status.conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  );
}
