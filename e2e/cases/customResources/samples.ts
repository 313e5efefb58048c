/** Objects of the custom resources: with the least, and with every field that can be given. */
import { z } from 'zod';

/** Plain JSON of an object; what a test changes it by is a JSON merge patch (RFC 7396). */
export type Json = { readonly [field: string]: unknown };

export const NAMESPACE = 'team-a';

function resource(kind: string, name: string, spec: Json): Json {
  return { apiVersion: 'sealgate.io/v1alpha1', kind, metadata: { name, namespace: NAMESPACE }, spec };
}

export const LEAST_BUCKET = resource('EncryptedBucket', 'least', { kmsConnectionRef: { name: 'keysecure' } });

export const FULL_BUCKET = resource('EncryptedBucket', 'full', {
  bucketName: 'invoices',
  kmsConnectionRef: { name: 'keysecure', namespace: 'kms' },
  encryption: { algorithm: 'AES256' },
  keyRotation: { interval: '2160h' },
  access: [
    { name: 'app', permissions: 'ReadWrite', secretName: 'invoices-s3', overlap: '1h30m' },
    { name: 'report', permissions: 'ReadOnly', secretName: 'report.invoices-s3', overlap: '0s' },
  ],
  adopt: true,
  deletionPolicy: 'Purge',
});

export const LEAST_CONNECTION = resource('KMSConnection', 'least', {
  provider: 'KMIP',
  kmip: { endpoints: [{ host: 'ks1.example.com' }], tls: { secretRef: { name: 'keysecure-client' } } },
});

export const FULL_CONNECTION = resource('KMSConnection', 'full', {
  provider: 'KMIP',
  kmip: {
    endpoints: [
      { host: 'ks1.example.com', port: 5696, tier: 0, serverName: 'ks.example.com' },
      { host: '2001:db8::5', port: 5697, tier: 1 },
    ],
    tls: {
      secretRef: { name: 'keysecure-client' },
      caBundleRef: { kind: 'ConfigMap', name: 'kms-ca', key: 'bundle_1.pem' },
    },
    credentialsSecretRef: { name: 'keysecure-user' },
    profile: 'KeySecureClassic',
    protocol: { min: '1.2', max: '1.3' },
    keyNamePrefix: 'team-a.Keys_1',
    objectGroup: false,
    timeouts: { connect: '100ms', request: '1m', total: '2m' },
  },
  keyAccess: 'Fetch',
  cache: { ttl: '0s', staleLimit: '168h' },
  allowedNamespaces: {
    from: 'Selector',
    selector: {
      matchLabels: { 'kubernetes.io/metadata.name': 'team-b' },
      matchExpressions: [{ key: 'stage', operator: 'In', values: ['test', 'production'] }],
    },
  },
});

const SEEN = '2026-01-02T03:04:05Z';
const CONDITION = {
  type: 'Ready',
  status: 'True',
  observedGeneration: 1,
  lastTransitionTime: SEEN,
  reason: 'Available',
  message: 'all is well',
};

export const BUCKET_STATUS = {
  observedGeneration: 1,
  conditions: [CONDITION] as const,
  bucketName: 'invoices',
  bucketUID: '00112233445566778899aabbccddeeff',
  endpoints: { internal: 'https://10.96.0.7', external: 'https://s3.example.com' },
  key: { version: 2, id: 'a1b2', state: 'Current', lastRotationTime: SEEN, nextRotationTime: SEEN },
  keyVersions: [
    { version: 1, id: 'a1b1', state: 'Retiring', kmsConnectionRef: { name: 'keysecure', namespace: 'kms' } },
    { version: 2, id: 'a1b2', state: 'Current', kmsConnectionRef: { name: 'keysecure', namespace: 'kms' } },
  ],
  rewrap: { done: 12, total: 4_000_000_000 },
  usage: { objects: 4_000_000_000, size: '12Gi', observedTime: SEEN },
};

export const CONNECTION_STATUS = {
  observedGeneration: 1,
  conditions: [CONDITION] as const,
  protocolVersion: '1.3',
  serverVendor: 'SafeNet',
  certificateNotAfter: SEEN,
  endpointsUp: '1/2',
  endpoints: [
    { host: 'ks1.example.com', port: 5696, state: 'Up', lastTransitionTime: SEEN },
    { host: '2001:db8::5', port: 5697, state: 'Down', lastTransitionTime: SEEN, message: 'refused' },
  ],
  buckets: 3,
  fleet: { desired: 1, synced: 1 },
};

const identity = z.object({ metadata: z.object({ name: z.string(), namespace: z.string() }) });

/** Name and namespace of an object. */
export function identityOf(object: Json): { readonly name: string; readonly namespace: string } {
  return identity.parse(object).metadata;
}

/** The object after a JSON merge patch: null removes, objects merge, everything else replaces. */
export function patched(object: Json, patch: Json): Json {
  const merged = new Map(Object.entries(object));
  for (const [field, change] of Object.entries(patch)) {
    const present = merged.get(field);
    if (change === null) merged.delete(field);
    else merged.set(field, isObject(change) ? patched(isObject(present) ? present : {}, change) : change);
  }
  return Object.fromEntries(merged);
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
