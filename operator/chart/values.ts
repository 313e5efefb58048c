/**
 * The values of the Helm chart: what is declared of the fleet, and what concerns the operator and the chart itself.
 *
 * Owns values.yaml and values.schema.json, which are made from it. Must not be needed while the operator runs.
 */
import { z } from 'zod';
import { affinity } from '../fleet/affinity.ts';
import { fleetSpec, imagePullPolicy, logLevel } from '../fleet/fleetSpec.ts';
import {
  annotationMap,
  dnsLabel,
  labelMap,
  objectName,
  resources,
  tolerations,
  userId,
} from '../fleet/podFields.ts';

const image = z
  .strictObject({
    repository: z
      .string()
      .min(1)
      .default('sealgate.test/sealgate')
      .describe('Where the image lies, without a tag. One image serves data plane and operator.'),
    tag: z
      .string()
      .max(128)
      .regex(/^([A-Za-z0-9_][-A-Za-z0-9_.]*)?$/)
      .meta({ not: { const: 'latest' } })
      .default('')
      .describe("Tag. Empty: the chart's appVersion. latest is refused: nobody could say what runs."),
    digest: z
      .string()
      .regex(/^(sha256:[0-9a-f]{64})?$/)
      .default('')
      .describe('Digest such as sha256:..., which takes the place of the tag.'),
    pullPolicy: imagePullPolicy.default('IfNotPresent').describe('When nodes fetch the image.'),
    pullSecrets: z
      .array(z.strictObject({ name: objectName }))
      .default([])
      .describe('Secrets with credentials for the registry.'),
  })
  .prefault({});

const operator = z
  .strictObject({
    replicas: z
      .int()
      .min(1)
      .max(5)
      .default(1)
      .describe(
        'Pods of the operator. One acts, the others take over when it is gone. Buckets are served without any.',
      ),
    logLevel: logLevel.default('info').describe("Level of the operator's log."),
    resources: resources
      .prefault({ requests: { cpu: '50m', memory: '256Mi' }, limits: { memory: '1Gi' } })
      .describe(
        'requests and limits of the operator. It takes about 160 MiB for itself and up to 190 for each 1,000 buckets.',
      ),
    runAsUser: userId
      .nullable()
      .default(65_532)
      .describe('User of the process. null: what the platform assigns (OpenShift).'),
    nodeSelector: labelMap.default({}).describe('Labels that a node must have.'),
    tolerations: tolerations.default([]).describe('Taints of nodes that are tolerated (core/v1 Toleration).'),
    affinity: affinity.prefault({}).describe('Affinity of the pods (core/v1 Affinity).'),
    priorityClassName: z
      .union([z.literal(''), objectName])
      .default('')
      .describe('PriorityClass of the pods.'),
    podLabels: labelMap.default({}).describe('Labels added to the pods.'),
    podAnnotations: annotationMap.default({}).describe('Annotations added to the pods.'),
  })
  .prefault({});

const host = z
  .string()
  .max(253)
  .regex(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);

const ingress = z
  .strictObject({
    enabled: z.boolean().default(false).describe('Makes an Ingress for S3.'),
    className: z
      .union([z.literal(''), objectName])
      .default('')
      .describe('IngressClass. Empty: the default class.'),
    annotations: annotationMap
      .default({})
      .describe(
        'Annotations for the controller: no limit of the body, no buffering, and, with fleet.s3.tls, HTTPS to the Service.',
      ),
    hosts: z
      .array(host)
      .default([])
      .describe('Host names. For virtual-host addressing also the wildcard, such as *.s3.example.com.'),
    tls: z
      .array(z.strictObject({ hosts: z.array(host), secretName: objectName }))
      .default([])
      .describe('Certificates: hosts, and the name of the Secret.'),
  })
  .prefault({});

const httpRoute = z
  .strictObject({
    enabled: z.boolean().default(false).describe('Makes an HTTPRoute (Gateway API) for S3.'),
    annotations: annotationMap.default({}).describe('Annotations of the HTTPRoute.'),
    parentRefs: z
      .array(
        z.strictObject({
          name: objectName,
          namespace: dnsLabel.optional(),
          sectionName: z.string().optional(),
        }),
      )
      .default([])
      .describe('Gateways that it belongs to: name, and optionally namespace and sectionName.'),
    hostnames: z.array(host).default([]).describe('Host names; empty: those of the Gateway.'),
  })
  .prefault({});

/** Everything that values.yaml may hold. */
export const chartValues = z.strictObject({
  fullnameOverride: z
    .union([z.literal(''), dnsLabel.max(40)])
    .default('')
    .describe(
      "Name of the fleet and of all objects. Empty: the release's name. It cannot change later: data belongs to it.",
    ),
  image: image.describe('The image.'),
  crds: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe(
          'Installs the custom resources and their admission policies, which stay when the release goes, and the roles for people. false for a second installation in the same cluster.',
        ),
    })
    .prefault({})
    .describe('The custom resources.'),
  watchNamespaces: z
    .array(dnsLabel)
    .max(64)
    .default([])
    .describe(
      'Namespaces whose resources this installation serves; they must exist. Empty: all. Two installations must not share one.',
    ),
  aggregateRoles: z
    .boolean()
    .default(true)
    .describe(
      "Adds the custom resources to the cluster's roles view, edit and admin. Never the rights to adopt or destroy.",
    ),
  fleet: fleetSpec
    .omit({ image: true, imagePullPolicy: true, imagePullSecrets: true })
    .prefault({})
    .describe('The data plane. The operator makes it and keeps it so.'),
  operator: operator.describe('The operator.'),
  ingress: ingress.describe('S3 from outside, by an Ingress. Set fleet.s3.externalUrl as well.'),
  httpRoute: httpRoute.describe(
    'S3 from outside, by the Gateway API. Set fleet.s3.externalUrl as well. With fleet.s3.tls the Gateway needs a BackendTLSPolicy, which is not made here (docs/install.md).',
  ),
  grafanaDashboard: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Makes a ConfigMap with the dashboard.'),
      labels: labelMap
        .default({ grafana_dashboard: '1' })
        .describe("Labels by which Grafana's sidecar finds the dashboard."),
    })
    .prefault({})
    .describe('Dashboard for Grafana.'),
  tests: z
    .strictObject({
      kmsConnectionRef: z
        .strictObject({
          name: z
            .union([z.literal(''), objectName])
            .default('')
            .describe('Its name. Without one `helm test` fails and says so.'),
          namespace: z
            .union([z.literal(''), dnsLabel])
            .default('')
            .describe("Its namespace. Empty: the release's."),
        })
        .prefault({})
        .describe('KMSConnection whose KMS makes the key of the bucket that `helm test` tries.'),
    })
    .prefault({})
    .describe('`helm test`.'),
  global: z
    .record(z.string(), z.unknown())
    .default({})
    .describe('Only for charts that have this one as a part. Nothing is read from it.'),
});
