/**
 * KMSConnection: how the data plane reaches a KMS, and which namespaces may use it. Owns its fields, defaults, rules and
 * columns; a field is offered only when something behind it works.
 */
import { z } from 'zod';
import { conditions, observedGeneration } from './condition.ts';
import type { CustomResource } from './crd.ts';
import { type Frozen, objectOf, readObject } from './resource.ts';
import { dataKey, duration, host, int32, isDuration, objectName, timestamp } from './scalars.ts';
import { IMMUTABLE, literal, rules } from './validation.ts';

const PROTOCOL_VERSIONS = ['1.0', '1.1', '1.2', '1.3', '1.4'] as const;

/** Profiles of KMIP servers, with the protocol versions that each negotiates unless `protocol` says otherwise. */
export const KMIP_PROFILE_PROTOCOLS = {
  Generic: { min: '1.1', max: '1.4' },
  KeySecureClassic: { min: '1.1', max: '1.3' },
  CipherTrustManager: { min: '1.1', max: '1.4' },
  PyKMIP: { min: '1.0', max: '1.4' },
} as const;
const PROFILES = Object.entries(KMIP_PROFILE_PROTOCOLS);

/** CEL: the lowest or highest version that is negotiated, from `protocol` or else from the profile. */
function negotiated(end: 'min' | 'max'): string {
  const byProfile = PROFILES.map(([name, protocol]) => `${literal(name)}: ${literal(protocol[end])}`);
  return `(has(self.protocol) && has(self.protocol.${end}) ? self.protocol.${end} : {${byProfile.join(', ')}}[self.profile])`;
}

const TIMEOUTS = ['connect', 'request', 'total'].map((name) => `self.timeouts.${name}`);

const endpoint = z.object({
  host: host().describe('DNS name or IP address of the KMS.'),
  port: int32(1, 65_535).default(5696).describe('Port of its KMIP service.'),
  tier: int32(0, 15)
    .default(0)
    .describe('Requests go to the lowest tier that has an endpoint which is up; higher tiers stand by.'),
  serverName: host()
    .exactOptional()
    .describe('The name that the certificate of the server must carry. Default: host.'),
});

const secretRef = z.object({
  name: objectName().describe('Name of the Secret, in the namespace of the resource.'),
});

const kmip = z
  .object({
    endpoints: z
      .array(endpoint)
      .min(1)
      .max(16)
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['host', 'port'] })
      .describe('Servers of one cluster, which keep the same keys: 1 to 16.'),
    tls: z
      .object({
        secretRef: secretRef.describe(
          'Secret with the client certificate (tls.crt) and its private key (tls.key), as cert-manager writes them.',
        ),
        caBundleRef: z
          .object({
            kind: z.enum(['Secret', 'ConfigMap']).describe('Whether it is a Secret or a ConfigMap.'),
            name: objectName().describe('Its name, in the namespace of the resource.'),
            key: dataKey().default('ca.crt').describe('The entry that holds the certificates.'),
          })
          .exactOptional()
          .describe(
            'Certificates in PEM that the certificate of the server must lead to. Default: ca.crt of secretRef, which with cert-manager is the issuer of the client certificate.',
          ),
      })
      .describe('Mutual TLS with the KMS.'),
    credentialsSecretRef: secretRef
      .exactOptional()
      .describe('Secret with username and password for the KMIP Credential, if the KMS wants one.'),
    profile: z
      .enum(Object.keys(KMIP_PROFILE_PROTOCOLS) as (keyof typeof KMIP_PROFILE_PROTOCOLS)[])
      .default('Generic')
      .describe(
        'What is known of the product: sets the protocol versions and how requests are put together.',
      ),
    protocol: z
      .object({
        min: z
          .enum(PROTOCOL_VERSIONS)
          .exactOptional()
          .describe('Lowest version that may be negotiated, in quotes. Default: by profile.'),
        max: z
          .enum(PROTOCOL_VERSIONS)
          .exactOptional()
          .describe('Highest version that may be negotiated, in quotes. Default: by profile.'),
      })
      .exactOptional()
      .describe('KMIP versions that may be negotiated.'),
    keyNamePrefix: z
      .string()
      .min(1)
      .max(32)
      .default('sealgate')
      .meta(
        rules(
          {
            rule: "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
            message:
              'must have only letters, digits, ".", "_" and "-", with a letter or digit at the beginning',
          },
          IMMUTABLE,
        ),
      )
      .describe('Starts the name of every key that is created. It cannot be changed.'),
    objectGroup: z
      .boolean()
      .default(true)
      .describe('Whether keys are created in the Object Group named by keyNamePrefix.'),
    timeouts: z
      .object({
        connect: duration('100ms', '1m').default('3s').describe('For one connection, TLS included.'),
        request: duration('100ms', '1m').default('5s').describe('For one KMIP request.'),
        total: duration('100ms', '2m')
          .default('10s')
          .describe('For everything that one S3 request may wait for the KMS, over all endpoints.'),
      })
      .prefault({})
      .describe('How long the KMS may take.'),
  })
  .meta(
    rules(
      {
        rule: `${negotiated('min')} <= ${negotiated('max')}`,
        message: 'protocol.min must not be above protocol.max; what is not given comes from the profile',
        fieldPath: '.protocol',
      },
      {
        rule: 'self.endpoints.exists(e, e.tier == 0)',
        message: 'at least one endpoint must have tier 0',
        fieldPath: '.endpoints',
      },
      {
        rule: `!(${TIMEOUTS.map((name) => isDuration(name)).join(' && ')}) || duration(self.timeouts.connect) <= duration(self.timeouts.total) && duration(self.timeouts.request) <= duration(self.timeouts.total)`,
        message: 'timeouts.connect and timeouts.request must not exceed timeouts.total',
        fieldPath: '.timeouts',
      },
    ),
  );

const requirement = z
  .object({
    key: z.string().min(1).max(317).describe('The label.'),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How it is compared.'),
    values: z
      .array(z.string().max(63))
      .max(32)
      .exactOptional()
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('The values, for In and NotIn.'),
  })
  .meta(
    rules({
      rule: "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
      message: 'In and NotIn need values, Exists and DoesNotExist must have none',
    }),
  );

const selector = z
  .object({
    matchLabels: z
      .record(z.string(), z.string().max(63))
      .exactOptional()
      .meta({ maxProperties: 16 })
      .describe('Labels that the namespace must have.'),
    matchExpressions: z
      .array(requirement)
      .max(16)
      .exactOptional()
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Requirements that the labels of the namespace must meet.'),
  })
  .meta({
    'x-kubernetes-map-type': 'atomic',
    ...rules({
      rule: 'has(self.matchLabels) && size(self.matchLabels) > 0 || has(self.matchExpressions) && size(self.matchExpressions) > 0',
      message: 'must have matchLabels or matchExpressions; from: All permits every namespace',
    }),
  });

const spec = z.object({
  // With a second provider comes the rule that it cannot be changed; with one it could never refuse anything.
  provider: z.enum(['KMIP']).describe('Kind of KMS.'),
  kmip: kmip.describe('How the KMIP servers are reached.'),
  keyAccess: z
    .enum(['Fetch'])
    .default('Fetch')
    .describe('Fetch: the bucket key comes with KMIP Get and is kept in memory only.'),
  cache: z
    .object({
      ttl: duration('0s', '24h')
        .default('5m')
        .describe(
          'How long a fetched key serves before the KMS is asked again. 0s: at each request. A right withdrawn in the KMS takes effect within this time.',
        ),
      staleLimit: duration('0s', '168h')
        .default('1h')
        .describe('How long a fetched key may still serve while the KMS cannot be reached. 0s: not at all.'),
    })
    .prefault({})
    .describe('How long keys are kept in memory.'),
  allowedNamespaces: z
    .object({
      from: z
        .enum(['Same', 'All', 'Selector'])
        .default('Same')
        .describe(
          'Same: only the namespace of the resource. All: every namespace. Selector: those that selector picks.',
        ),
      selector: selector
        .exactOptional()
        .describe('Picks namespaces by their labels; kubernetes.io/metadata.name is the name of each.'),
    })
    .meta(
      rules({
        rule: "self.from == 'Selector' ? has(self.selector) : !has(self.selector)",
        message: 'selector is required when from is Selector, and must be absent otherwise',
      }),
    )
    .prefault({})
    .describe('Namespaces whose EncryptedBuckets may refer to this connection.'),
});

const endpointStatus = z.object({
  host: z.string().max(253).describe('Host of the endpoint.'),
  port: int32(1, 65_535).describe('Port of the endpoint.'),
  state: z.enum(['Up', 'Down']).describe('Whether it answers.'),
  lastTransitionTime: timestamp().exactOptional().describe('When the state last changed.'),
  message: z.string().max(1024).exactOptional().describe('Why it is down.'),
});

const status = z
  .object({
    observedGeneration,
    conditions: conditions.describe(
      'Ready sums up: Reachable, Authenticated, CertificateValid and FleetSynced are its parts, DeletionBlocked says what a deletion waits for.',
    ),
    protocolVersion: z.string().max(16).exactOptional().describe('KMIP version that was negotiated.'),
    serverVendor: z.string().max(256).exactOptional().describe('What the server says it is.'),
    certificateNotAfter: timestamp().exactOptional().describe('When the client certificate ends.'),
    endpointsUp: z.string().max(16).exactOptional().describe('How many endpoints are up, such as 2/2.'),
    endpoints: z
      .array(endpointStatus)
      .max(16)
      .exactOptional()
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('State of each endpoint.'),
    buckets: int32(0).exactOptional().describe('Existing buckets whose current key is in this KMS.'),
    fleet: z
      .object({
        desired: int32(0).describe('Pods of the data plane.'),
        synced: int32(0).describe('Pods that have the connection in force as it is declared.'),
      })
      .exactOptional()
      .describe('How far the connection has reached the data plane.'),
  })
  .prefault({});

const ready = (field: 'status' | 'reason') => `.status.conditions[?(@.type=="Ready")].${field}`;

/** Everything that the CustomResourceDefinition is made of. */
export const kmsConnectionResource: CustomResource = {
  kind: 'KMSConnection',
  plural: 'kmsconnections',
  shortName: 'kmsc',
  description: 'A KMS that makes and keeps the keys of buckets, and the namespaces that may use it.',
  spec: spec.describe('The connection as it should be.'),
  status: status.describe('The connection as the operator last saw it.'),
  rules: [
    {
      rule: 'size(self.metadata.name) <= 63',
      message: 'metadata.name must have at most 63 characters',
    },
    {
      // In the folder of connections such a file holds credentials: those of another connection, and never its own. One
      // that is there already never came into force; it can still be changed, and so be let go.
      rule: "oldSelf.hasValue() || !self.metadata.name.endsWith('.credentials')",
      message: 'metadata.name must not end in .credentials',
      optionalOldSelf: true,
    },
  ],
  printerColumns: [
    { name: 'Ready', type: 'string', jsonPath: ready('status') },
    { name: 'Reason', type: 'string', jsonPath: ready('reason') },
    { name: 'Protocol', type: 'string', jsonPath: '.status.protocolVersion' },
    { name: 'Endpoints', type: 'string', jsonPath: '.status.endpointsUp' },
    { name: 'Buckets', type: 'integer', jsonPath: '.status.buckets' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  selectableFields: ['.spec.provider'],
};

const object = objectOf('KMSConnection', spec, status);

/** A KMSConnection with all defaults. */
export type KMSConnection = Frozen<z.output<typeof object>>;
export type KMSConnectionSpec = Frozen<z.output<typeof spec>>;
export type KMSConnectionStatus = Frozen<z.output<typeof status>>;

/**
 * Reads a KMSConnection as the API server gives it and fills in the defaults of fields that are newer than it.
 *
 * @throws InvalidResourceError
 */
export function parseKMSConnection(value: unknown): KMSConnection {
  return readObject('KMSConnection', object, value);
}
