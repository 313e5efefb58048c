/**
 * Sealgate installed into a cluster by its chart, with a real KMIP server in the cluster's network, as people do it.
 *
 * Owns one release in a namespace of its own, its volume and its KMS. It must not reach into the operator: what it knows
 * comes from kubectl, Services, the KMS and the volume's folder.
 */
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { S3Client } from '@aws-sdk/client-s3';
import { z } from 'zod';
import { freePort } from '../freePort.ts';
import { type Pykmip, startPykmip } from '../pykmip.ts';
import type { Cluster } from './cluster.ts';

const CHART = fileURLToPath(new URL('../../../charts/sealgate', import.meta.url));

/** A request without an answer for so long has failed. */
const PATIENCE_MS = 3_000;

export interface InstallationOptions {
  readonly cluster: Cluster;
  /** Made when it is not there; the release has the same name, and with it the fleet. */
  readonly namespace: string;
  /** Name of the image in the cluster; see importProductImage. */
  readonly image: string;
  /** Namespaces that this release serves; default: the release's own and `<namespace>-team`, which is made too. */
  readonly watchNamespaces?: readonly string[];
  /** More `--set` values of helm. */
  readonly values?: Readonly<Record<string, string>>;
  /** Another chart, such as an older package. */
  readonly chart?: string;
  /** More flags of the first `helm upgrade --install`. */
  readonly flags?: readonly string[];
}

export interface Installation {
  readonly cluster: Cluster;
  readonly namespace: string;
  /** A tenant's namespace. */
  readonly team: string;
  readonly kms: Pykmip;
  /** The folder that is the volume of the data plane, with metadata/ and blobs/. */
  readonly volumeFolder: string;
  /** `helm upgrade --install`, waiting until the operator is ready; more values than those of the start. */
  upgrade(options?: {
    readonly image?: string;
    readonly chart?: string;
    readonly values?: Readonly<Record<string, string>>;
    /** Another release, of the same fleet; default: the one so far. */
    readonly release?: string;
    /** More flags, this time. */
    readonly flags?: readonly string[];
  }): Promise<void>;
  /** Resolves when the data-plane pod is Ready. */
  dataPlaneReady(): Promise<void>;
  /** The Secret with the client certificate that the KMS knows, and the KMSConnection that uses it. */
  connectKms(name: string, spec?: Readonly<Record<string, unknown>>, namespace?: string): Promise<void>;
  /** Applies an EncryptedBucket of the team. */
  declareBucket(name: string, spec?: Readonly<Record<string, unknown>>): Promise<void>;
  /** `kubectl wait --for=condition=...`, 60 s at the most. */
  waitFor(resource: string, condition: string, namespace?: string): Promise<void>;
  /** The conditions of a resource by type, as `True Reason`. */
  conditions(resource: string, namespace?: string): Promise<Readonly<Record<string, string>>>;
  /** Decoded. */
  secret(name: string, namespace?: string): Promise<Readonly<Record<string, string>>>;
  /** A client with the values of an access Secret, through the Service. It tries once unless told otherwise. */
  s3(
    values: Readonly<Record<string, string>>,
    options?: { readonly maxAttempts?: number },
  ): Promise<S3Client>;
  /** Ends operator, data plane and KMS. The other objects stay until the cluster goes. */
  close(): Promise<void>;
}

const conditionList = z.array(z.object({ type: z.string(), status: z.string(), reason: z.string() }));

/** Installs, and resolves when operator and data plane are Ready. */
export async function installSealgate(options: InstallationOptions): Promise<Installation> {
  const { cluster, namespace, image, watchNamespaces, values = {}, chart = CHART, flags = [] } = options;
  const team = `${namespace}-team`;
  await cluster.apply(
    ...[namespace, team].map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })),
  );
  const volumeFolder = await cluster.localVolume({
    name: `${namespace}-data`,
    size: '1Gi',
    accessMode: 'ReadWriteOncePod',
    claim: { namespace, name: `data-${namespace}-0` },
  });
  const kmsPort = await freePort();
  const kms = await startPykmip({
    folder: path.join(cluster.folder, `kms-${namespace}`),
    host: cluster.nodeAddress,
    enter: cluster.enter,
    port: kmsPort,
  });
  const served = watchNamespaces ?? [namespace, team];
  const base: Record<string, string> = {
    watchNamespaces: `{${served.join(',')}}`,
    'crds.enabled': 'false',
    'fleet.storage.storageClassName': 'local',
    'fleet.storage.size': '1Gi',
    'fleet.resources.requests.cpu': '100m',
    ...values,
  };
  let inForce = { image, chart, values: base, release: namespace };
  const upgrade: Installation['upgrade'] = async (change = {}) => {
    inForce = {
      image: change.image ?? inForce.image,
      chart: change.chart ?? inForce.chart,
      release: change.release ?? inForce.release,
      values: { ...inForce.values, ...change.values },
    };
    const [repository = '', tag = ''] = inForce.image.split(':');
    const named: Record<string, string> =
      inForce.release === namespace ? {} : { fullnameOverride: namespace };
    const sets = { 'image.repository': repository, 'image.tag': tag, ...named, ...inForce.values };
    await cluster.helm([
      'upgrade',
      '--install',
      inForce.release,
      inForce.chart,
      '--namespace',
      namespace,
      '--wait',
      '--timeout',
      '90s',
      ...(change.flags ?? []),
      ...Object.entries(sets).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
    ]);
  };
  const kubectl = (args: readonly string[], stdin?: string): Promise<string> =>
    cluster.kubectl(args, stdin === undefined ? {} : { stdin });
  const dataPlaneReady = async (): Promise<void> => {
    const at = ['-n', namespace, '--timeout=90s'];
    await kubectl(['wait', '--for=create', `pod/${namespace}-0`, ...at]);
    await kubectl(['wait', '--for=condition=Ready', `pod/${namespace}-0`, ...at]);
  };
  const ports = new Map<string, number>();
  /** The port of this machine that leads to a Service; one for all clients. */
  const portTo = async (host: string, port: number): Promise<number> => {
    const found = ports.get(`${host}:${port}`) ?? (await cluster.forward(host, port));
    ports.set(`${host}:${port}`, found);
    return found;
  };
  await upgrade({ flags });
  await dataPlaneReady();
  const waitFor: Installation['waitFor'] = async (resource, condition, at = team) => {
    await kubectl(['wait', `--for=condition=${condition}`, resource, '-n', at, '--timeout=60s']);
  };
  return {
    cluster,
    namespace,
    team,
    kms,
    volumeFolder,
    upgrade,
    dataPlaneReady,
    connectKms: async (name, spec = {}, at = team) => {
      const { clientCert, clientKey, ca } = kms.certificates;
      await kubectl(
        ['apply', '-n', at, '-f', '-'],
        JSON.stringify({
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: `${name}-client` },
          type: 'kubernetes.io/tls',
          stringData: {
            'tls.crt': await readFile(clientCert, 'utf8'),
            'tls.key': await readFile(clientKey, 'utf8'),
            'ca.crt': await readFile(ca, 'utf8'),
          },
        }),
      );
      await kubectl(
        ['apply', '-n', at, '-f', '-'],
        JSON.stringify({
          apiVersion: 'sealgate.io/v1alpha1',
          kind: 'KMSConnection',
          metadata: { name },
          spec: {
            provider: 'KMIP',
            kmip: {
              endpoints: [{ host: cluster.nodeAddress, port: kms.port }],
              tls: { secretRef: { name: `${name}-client` } },
              profile: 'PyKMIP',
            },
            ...spec,
          },
        }),
      );
    },
    declareBucket: async (name, spec = {}) => {
      await kubectl(
        ['apply', '-n', team, '-f', '-'],
        JSON.stringify({
          apiVersion: 'sealgate.io/v1alpha1',
          kind: 'EncryptedBucket',
          metadata: { name },
          spec,
        }),
      );
    },
    waitFor,
    conditions: async (resource, at = team) => {
      const text = await kubectl(['get', resource, '-n', at, '-o', 'jsonpath={.status.conditions}']);
      const list = conditionList.parse(text === '' ? [] : JSON.parse(text));
      return Object.fromEntries(list.map(({ type, status, reason }) => [type, `${status} ${reason}`]));
    },
    secret: async (name, at = team) => {
      const text = await kubectl(['get', 'secret', name, '-n', at, '-o', 'jsonpath={.data}']);
      const data = z.record(z.string(), z.string()).parse(JSON.parse(text));
      return Object.fromEntries(
        Object.entries(data).map(([field, value]) => [field, Buffer.from(value, 'base64').toString('utf8')]),
      );
    },
    s3: async (secret, { maxAttempts = 1 } = {}) => {
      const host = secret['BUCKET_HOST'] ?? '';
      const port = await portTo(host, Number(secret['BUCKET_PORT']));
      const httpsAgent = new Agent({
        ca: secret['ca.crt'],
        servername: `${namespace}.${namespace}.svc`,
        keepAlive: true,
      });
      return new S3Client({
        endpoint: `https://127.0.0.1:${port}`,
        region: secret['AWS_REGION'] ?? '',
        credentials: {
          accessKeyId: secret['AWS_ACCESS_KEY_ID'] ?? '',
          secretAccessKey: secret['AWS_SECRET_ACCESS_KEY'] ?? '',
        },
        forcePathStyle: true,
        maxAttempts,
        // Connections to a pod that has gone hang for minutes: nobody is left to end them.
        requestHandler: { httpsAgent, requestTimeout: PATIENCE_MS, throwOnRequestTimeout: true },
      });
    },
    close: async () => {
      // The operator first and to its end: it would make the data plane anew.
      await kubectl([
        'delete',
        'deployment',
        '--all',
        '-n',
        namespace,
        '--cascade=foreground',
        '--timeout=60s',
      ]);
      await kubectl(['delete', 'statefulset', '--all', '-n', namespace, '--wait=false']);
      await kms.kill();
    },
  };
}
