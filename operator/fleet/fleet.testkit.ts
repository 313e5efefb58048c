/** Fleets and secrets that the tests of the fleet start from. */
import { stringify } from 'yaml';
import type { RenderInputs } from './render.ts';

const IMAGE = 'sealgate.test/sealgate:1.2.3';

export const INPUTS: RenderInputs = {
  installation: { id: '0123456789abcdef0123456789abcdef', key: 'ab'.repeat(32) },
  rootFile: '{"accessKeyId": "SGROOT", "secretAccessKey": "not-a-secret-of-anybody"}\n',
  adminTokens: { tokens: ['token-of-the-tests'.padEnd(32, '-')], madeMs: Date.UTC(2026, 0, 1) },
  s3Certificate: { cert: 'certificate for S3\n', key: 'key for S3\n' },
  adminCertificate: { cert: 'certificate for admin\n', key: 'key for admin\n' },
  clusterIPs: ['10.96.0.17'],
  alertGroups: [{ name: 'group', rules: [{ alert: 'Down', expr: 'up == 0', for: '1m' }] }],
};

/** `fleet.yaml` as the chart writes it. */
export function fleetYaml(spec: Readonly<Record<string, unknown>> = {}, name = 'sealgate'): string {
  return stringify({
    apiVersion: 'fleet.sealgate.io/v1alpha1',
    kind: 'Fleet',
    metadata: { name },
    spec: { image: IMAGE, ...spec },
  });
}

/** Every field with a value that is not its default. */
export const FULL_SPEC = {
  image: `sealgate.test/sealgate@sha256:${'0f'.repeat(32)}`,
  imagePullPolicy: 'Always',
  imagePullSecrets: [{ name: 'pull' }],
  replicas: 1,
  region: 'eu-central-1',
  resources: { requests: { cpu: '1500m', memory: '1Gi' }, limits: { memory: '3Gi' } },
  nodeSelector: { disk: 'nvme' },
  tolerations: [{ key: 'storage', operator: 'Exists', effect: 'NoSchedule' }],
  affinity: { nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
  priorityClassName: 'system-cluster-critical',
  podLabels: { team: 'storage' },
  podAnnotations: { 'example.com/note': 'yes' },
  runAsUser: null,
  storage: { engine: 'Embedded', size: '100Gi', storageClassName: 'local' },
  s3: {
    tls: false,
    domains: ['s3.example.com'],
    externalUrl: 'https://s3.example.com',
    service: { type: 'LoadBalancer', annotations: { 'example.com/pool': 'a' }, port: 8080 },
  },
  policy: { plainBuckets: 'Refused', copyToPlain: 'Refused' },
  defaultKmsConnection: 'team-a/keysecure',
  workers: 'auto',
  logLevel: 'debug',
  requireAesNi: true,
  terminationGracePeriodSeconds: 20,
  networkPolicy: {
    enabled: true,
    s3From: [{ namespaceSelector: { matchLabels: { s3: 'yes' } } }],
    metricsFrom: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }],
    kmsCidrs: [{ cidr: '192.0.2.0/24', ports: [5696, 9000] }],
    dnsNamespace: 'openshift-dns',
    dnsPorts: [5353, 53],
    dnsCidrs: ['169.254.20.10/32'],
  },
  serviceMonitor: { enabled: true, interval: '15s', labels: { release: 'prometheus' } },
  prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
} as const;
