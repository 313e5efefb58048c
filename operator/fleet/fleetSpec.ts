/**
 * The fleet as it is declared: `fleet.yaml` of the ConfigMap that the chart writes, shaped like a later resource.
 *
 * Owns what may be set and the defaults; a field is here only if something is done with it. Must not read the cluster.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { type ConfigProblem } from '../../dataplane/config/errors.ts';
import { problemsOf } from '../../dataplane/config/problems.ts';
import { domainName } from '../../dataplane/config/scalars.ts';
import { affinity } from './affinity.ts';
import {
  annotationMap,
  cidr,
  dnsLabel,
  labelMap,
  networkPeer,
  objectName,
  port,
  quantity,
  resources,
  tolerations,
  userId,
} from './podFields.ts';
import { quantityValue } from './quantity.ts';

export const imagePullPolicy = z.enum(['Always', 'IfNotPresent', 'Never']);

export const logLevel = z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']);

const allowance = z.enum(['Allowed', 'Refused']);

const storage = z.discriminatedUnion(
  'engine',
  [
    z.strictObject({
      engine: z
        .literal('Embedded')
        .describe('SQLite and a file system on one volume. The only engine that is built.'),
      size: quantity
        .refine((size) => quantityValue(size) !== 0, { error: 'must be more than 0' })
        .prefault('20Gi')
        .describe('Size of the volume for metadata and ciphertext. It cannot be changed here later.'),
      storageClassName: objectName
        .nullable()
        .default(null)
        .describe(
          'StorageClass of the volume: a local or block file system. null: the default class of the cluster.',
        ),
    }),
  ],
  { error: 'must be Embedded' },
);

const s3 = z.strictObject({
  tls: z.boolean().default(true).describe("HTTPS with a certificate of the operator's CA; false: HTTP."),
  domains: z
    .array(domainName)
    .max(16)
    .default([])
    .describe('Domains for virtual-host addressing (bucket.s3.example.com); they come into the certificate.'),
  externalUrl: z
    .url({ protocol: /^https?$/, error: 'must be a URL such as https://s3.example.com' })
    .refine((text) => !URL.canParse(text) || ['/', ''].includes(new URL(text).pathname), {
      error: 'must have no path: bucket and key follow there',
    })
    .nullable()
    .default(null)
    .describe('How clients outside of the cluster reach the S3 port; told in the status of buckets.'),
  service: z
    .strictObject({
      type: z
        .enum(['ClusterIP', 'NodePort', 'LoadBalancer'])
        .default('ClusterIP')
        .describe('Type of the S3 Service.'),
      annotations: annotationMap.default({}).describe('Annotations of the S3 Service.'),
      port: port.nullable().default(null).describe('Port of the S3 Service. null: 443 with TLS, 80 without.'),
    })
    .prefault({})
    .describe('The Service of the S3 port.'),
});

const networkPolicy = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether a NetworkPolicy for the data-plane pods is made.'),
  s3From: z.array(networkPeer).max(64).default([]).describe('Who may reach the S3 port. Empty: everybody.'),
  metricsFrom: z
    .array(networkPeer)
    .max(64)
    .default([])
    .describe('Who may reach the port of probes and metrics. Empty: everybody.'),
  kmsCidrs: z
    .array(z.strictObject({ cidr, ports: z.array(port).min(1).max(16) }))
    .max(64)
    .default([
      { cidr: '0.0.0.0/0', ports: [5696] },
      { cidr: '::/0', ports: [5696] },
    ])
    .describe('Where the pods may go: addresses and ports of the KMS servers.'),
  dnsNamespace: dnsLabel
    .default('kube-system')
    .describe("Namespace of the cluster's DNS pods. On OpenShift openshift-dns."),
  dnsPorts: z
    .array(port)
    .min(1)
    .max(16)
    .default([53])
    .describe('Ports of these pods themselves, not of their Service. On OpenShift 5353.'),
  dnsCidrs: z
    .array(cidr)
    .max(64)
    .default([])
    .describe(
      'DNS servers that are no pods, with the same ports: addresses of nodes, such as 169.254.20.10/32 of NodeLocal DNSCache.',
    ),
});

export const fleetSpec = z.strictObject({
  image: z
    .string()
    .min(1)
    .max(512)
    .regex(/^[^\s]+$/, 'must be the name of an image')
    .refine((name) => /(?:@sha256:[0-9a-f]{64}|:(?!latest$)[A-Za-z0-9_][-A-Za-z0-9_.]{0,127})$/.test(name), {
      error: 'must end in a tag other than latest, or in a digest',
    })
    .describe('Image of the data plane.'),
  imagePullPolicy: imagePullPolicy.default('IfNotPresent'),
  imagePullSecrets: z
    .array(z.strictObject({ name: objectName }))
    .max(16)
    .default([]),
  replicas: z
    .literal(1)
    .default(1)
    .describe(
      'Pods of the data plane. Embedded storage has exactly one: two would not see the same objects.',
    ),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,63}$/, 'must be a region name such as us-east-1')
    .default('us-east-1')
    .describe('S3 region of all buckets. Applications sign with it, so it should not change.'),
  resources: resources
    .prefault({ requests: { cpu: '1', memory: '512Mi' }, limits: { memory: '2Gi' } })
    .describe('requests and limits of the data-plane container.'),
  nodeSelector: labelMap.default({}).describe('Labels that a node must have.'),
  tolerations: tolerations
    .max(64)
    .default([])
    .describe('Taints of nodes that are tolerated (core/v1 Toleration).'),
  affinity: affinity.prefault({}).describe('Affinity of the pods (core/v1 Affinity).'),
  priorityClassName: objectName.nullable().default(null).describe('PriorityClass of the pods.'),
  podLabels: labelMap
    .default({})
    .describe('Labels added to the pods. Labels of app.kubernetes.io are set by Sealgate.'),
  podAnnotations: annotationMap.default({}).describe('Annotations added to the pods.'),
  runAsUser: userId
    .nullable()
    .default(65_532)
    .describe(
      'User and group of the process and owner of the volume. null: what the platform assigns (OpenShift).',
    ),
  storage: storage.prefault({ engine: 'Embedded' }).describe('Where metadata and ciphertext lie.'),
  s3: s3.prefault({}).describe('The S3 port.'),
  policy: z
    .strictObject({
      plainBuckets: allowance.default('Allowed').describe('Refused: every bucket must be encrypted.'),
      copyToPlain: allowance
        .default('Allowed')
        .describe('Refused: no copies from encrypted into plain buckets.'),
    })
    .prefault({})
    .describe('What clients may do beside encryption.'),
  defaultKmsConnection: z
    .string()
    .regex(
      /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
      'must be namespace/name of a KMSConnection',
    )
    .nullable()
    .default(null)
    .describe(
      'KMSConnection (namespace/name) for encrypted buckets that are made over S3. null: none can be made so.',
    ),
  workers: z
    .union([z.literal('auto'), z.int().min(1).max(256)])
    .default('auto')
    .describe(
      'S3 threads. auto: the cores of the CPU limit; without a limit, those of the CPU request, rounded up, but at least 2.',
    ),
  logLevel: logLevel.default('info').describe('info has one line per request.'),
  requireAesNi: z
    .boolean()
    .default(false)
    .describe('Only nodes that Node Feature Discovery labels as having AES instructions.'),
  terminationGracePeriodSeconds: z
    .int()
    .min(1)
    .max(600)
    .default(10)
    .describe(
      'When a pod ends, it has so long until it is killed: about two thirds for its requests, the rest to close. With one pod, a restart is a gap of that and the start.',
    ),
  networkPolicy: networkPolicy.prefault({}).describe('Who may reach the pods, and where they may go.'),
  serviceMonitor: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Makes a ServiceMonitor where the cluster has that kind.'),
      interval: z
        .string()
        .regex(/^[0-9]{1,4}(ms|s|m|h)$/, 'must be a duration such as 30s')
        .default('30s')
        .describe('How often Prometheus scrapes.'),
      labels: labelMap.default({}).describe('Labels by which Prometheus finds the ServiceMonitor.'),
    })
    .prefault({})
    .describe('How the Prometheus operator finds pods and operator.'),
  prometheusRule: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe('Makes a PrometheusRule with the alerts where the cluster has that kind.'),
      labels: labelMap.default({}).describe('Labels by which Prometheus finds the PrometheusRule.'),
    })
    .prefault({})
    .describe('The alerts, for the Prometheus operator.'),
});

const fleetDocument = z.strictObject({
  apiVersion: z.literal('fleet.sealgate.io/v1alpha1'),
  kind: z.literal('Fleet'),
  metadata: z.strictObject({ name: dnsLabel }),
  spec: fleetSpec,
});

export type FleetSpec = z.output<typeof fleetSpec>;

export interface Fleet {
  readonly name: string;
  readonly spec: FleetSpec;
}

/** The declared fleet breaks its contract; `problems` name each field. */
export class FleetError extends Error {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions) {
    super(
      problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '),
      options,
    );
    this.name = 'FleetError';
    this.problems = problems;
  }
}

/**
 * Reads `fleet.yaml` and fills in the defaults.
 *
 * @throws FleetError with every problem that was found
 */
export function parseFleet(text: string): Fleet {
  let document: unknown;
  try {
    document = parse(text);
  } catch (cause) {
    throw new FleetError([{ path: '', message: 'is not YAML' }], { cause });
  }
  const parsed = fleetDocument.safeParse(document);
  if (!parsed.success) throw new FleetError(problemsOf(parsed.error));
  return { name: parsed.data.metadata.name, spec: parsed.data.spec };
}
