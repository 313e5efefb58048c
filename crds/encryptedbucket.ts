/**
 * EncryptedBucket: a bucket whose key is in a KMS, and the credentials of those who use it. Owns its fields, defaults,
 * rules and columns; a field is offered only when something behind it works.
 */
import { z } from 'zod';
import { conditions, observedGeneration } from './condition.ts';
import type { CustomResource } from './crd.ts';
import { type Frozen, objectOf, readObject } from './resource.ts';
import { duration, int32, label, objectName, timestamp } from './scalars.ts';
import { literal, type Rule, rules } from './validation.ts';

const accessEntry = z.object({
  name: label().describe(
    'Names the entry; the annotation rotate-access.sealgate.io/NAME rotates its credential.',
  ),
  permissions: z
    .enum(['ReadOnly', 'WriteOnly', 'ReadWrite', 'Admin'])
    .describe(
      'ReadOnly: read and list. WriteOnly: write. ReadWrite: read, list, write and delete. Admin: these and the settings of the bucket.',
    ),
  secretName: objectName().describe(
    'Secret that the operator makes in the namespace of the resource: envFrom of it is all that an application needs.',
  ),
  overlap: duration('0s', '720h')
    .default('168h')
    .describe('How long the old credential still works after a rotation. 0s: it ends at once.'),
});

const spec = z
  .object({
    bucketName: z
      .string()
      .min(3)
      .max(63)
      .exactOptional()
      .describe(
        'Name of the bucket, by the naming rules of S3. Default: the name of the resource. It cannot be changed.',
      ),
    kmsConnectionRef: z
      .object({
        name: objectName(63).describe('Name of the KMSConnection.'),
        namespace: label()
          .exactOptional()
          .describe(
            'Namespace of the KMSConnection, whose allowedNamespaces must permit it. Default: the namespace of the resource.',
          ),
      })
      .describe(
        'The KMSConnection whose KMS makes and keeps the key of the bucket. A change counts from the next key version.',
      ),
    encryption: z
      .object({
        algorithm: z
          .enum(['AES256'])
          .default('AES256')
          .describe('The cipher, as S3 names it: AES-256-GCM under a key from the KMS.'),
      })
      .prefault({})
      .describe('How the bucket is encrypted.'),
    keyRotation: z
      .object({
        interval: duration('24h', '87600h').describe(
          'How old the current key version may become, such as 2160h for 90 days.',
        ),
      })
      .exactOptional()
      .describe(
        'Rotation of the key of the bucket by schedule. Without it the key is rotated only by the annotation sealgate.io/rotate-key.',
      ),
    access: z
      .array(accessEntry)
      .max(16)
      .exactOptional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
      .describe('Credentials for the bucket, one Secret for each entry.'),
    adopt: z
      .boolean()
      .default(false)
      .describe(
        'Take over an encrypted or empty bucket of this name that another resource or an S3 client has made. A resource that has had its bucket adopts no more. Needs the verb adopt on encryptedbuckets.',
      ),
    deletionPolicy: z
      .enum(['Retain', 'DeleteIfEmpty', 'Purge'])
      .default('Retain')
      .describe(
        'What deleting the resource does to the bucket. Retain: nothing. DeleteIfEmpty: deletes it, and waits while it holds objects. Purge: deletes it with all objects; needs the verb destroy on encryptedbuckets, and the annotation sealgate.io/confirm-destroy with the name of the bucket.',
      ),
  })
  .meta(
    rules({
      rule: '!has(self.access) || self.access.all(a, self.access.exists_one(b, b.secretName == a.secretName))',
      message: 'each access entry needs a secretName of its own',
      fieldPath: '.access',
    }),
  );

const connectionRef = z.object({
  name: z.string().max(63).describe('Name of the KMSConnection.'),
  namespace: z.string().max(63).describe('Namespace of the KMSConnection.'),
});

const keyVersion = z.object({
  version: int32(0).describe('Number of the key version; the first is 1.'),
  id: z.string().max(1024).exactOptional().describe('Unique identifier of the key in the KMS.'),
  state: z.string().max(32).describe('Creating, Current, Readable, Retiring, Revoked or Destroyed.'),
  kmsConnectionRef: connectionRef.exactOptional().describe('The KMSConnection that the key was made over.'),
});

const status = z
  .object({
    observedGeneration,
    conditions: conditions.describe(
      'Ready sums up: KeyReady, BucketReady, AccessReady and RewrapComplete are its parts, DeletionBlocked says what a deletion waits for.',
    ),
    bucketName: z.string().max(63).exactOptional().describe('Name of the bucket that the resource owns.'),
    bucketUID: z
      .string()
      .max(64)
      .exactOptional()
      .describe('Identifies the bucket for ever; another bucket of the same name has another one.'),
    endpoints: z
      .object({
        internal: z.string().max(512).exactOptional().describe('URL of the S3 endpoint inside the cluster.'),
        external: z
          .string()
          .max(512)
          .exactOptional()
          .describe('URL of the S3 endpoint outside the cluster, if there is one.'),
      })
      .exactOptional()
      .describe('Where the bucket is served.'),
    key: z
      .object({
        version: int32(0).describe('Number of the key version that new objects use.'),
        id: z.string().max(1024).exactOptional().describe('Unique identifier of the key in the KMS.'),
        state: z.string().max(32).describe('State of the key version.'),
        lastRotationTime: timestamp().exactOptional().describe('When the key was last rotated.'),
        nextRotationTime: timestamp().exactOptional().describe('When the schedule rotates it next.'),
      })
      .exactOptional()
      .describe('The current key version of the bucket.'),
    keyVersions: z
      .array(keyVersion)
      .max(64)
      .exactOptional()
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['version'] })
      .describe('The newest key versions, at most 64.'),
    rewrap: z
      .object({
        done: z
          .int()
          .min(0)
          .describe('Objects and uploads already sealed under the current key version.')
          .meta({ format: 'int64' }),
        total: z.int().min(0).describe('Objects and uploads to seal in all.').meta({ format: 'int64' }),
      })
      .exactOptional()
      .describe('How far the sealing anew after a rotation has come.'),
    usage: z
      .object({
        objects: z.int().min(0).describe('Number of objects.').meta({ format: 'int64' }),
        size: z.string().max(32).describe('Their size as clients see it, as a quantity such as 12Gi.'),
        observedTime: timestamp().describe('When they were counted.'),
      })
      .exactOptional()
      .describe('What the bucket holds, written every few minutes at most.'),
  })
  .prefault({});

const NAME = '(has(self.spec.bucketName) ? self.spec.bucketName : self.metadata.name)';
const OLD_NAME = '(has(oldSelf.spec.bucketName) ? oldSelf.spec.bucketName : oldSelf.metadata.name)';
const RESERVED_PREFIXES = ['xn--', 'sthree-', 'amzn-s3-demo-'];
const RESERVED_SUFFIXES = ['-s3alias', '--ol-s3', '.mrap', '--x-s3', '--table-s3'];

/**
 * The naming rules of S3 for general purpose buckets, over the effective name: the rules see metadata.name only at the
 * root. Only there the immutability of an optional field holds, too: absent, then something, is a change.
 */
const NAME_RULES: readonly Rule[] = [
  {
    rule: `${NAME}.matches('^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$')`,
    message:
      'the bucket name (spec.bucketName, or metadata.name without it) must have 3 to 63 characters: lower-case letters, digits, dots and hyphens, with a letter or digit at both ends',
  },
  {
    rule: `!${NAME}.contains('..') && !${NAME}.matches('^[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+$')`,
    message: 'the bucket name must not have two dots in a row or look like an IP address',
  },
  {
    // The data plane never took such a name. A resource that has one already can still be changed, and so be let go.
    rule: `oldSelf.hasValue() || !${NAME}.contains('.-') && !${NAME}.contains('-.')`,
    message: 'the bucket name must not have a hyphen beside a dot',
    optionalOldSelf: true,
  },
  {
    rule: `!${literal(RESERVED_PREFIXES)}.exists(p, ${NAME}.startsWith(p)) && !${literal(RESERVED_SUFFIXES)}.exists(s, ${NAME}.endsWith(s))`,
    message: `the bucket name must not begin with ${RESERVED_PREFIXES.join(', ')} or end with ${RESERVED_SUFFIXES.join(', ')}: S3 reserves these`,
  },
  {
    rule: `${NAME} == ${OLD_NAME}`,
    message: 'the bucket name cannot be changed',
    reason: 'FieldValueForbidden',
    fieldPath: '.spec.bucketName',
  },
];

const ready = (field: 'status' | 'reason') => `.status.conditions[?(@.type=="Ready")].${field}`;

/** Everything that the CustomResourceDefinition is made of. */
export const encryptedBucketResource: CustomResource = {
  kind: 'EncryptedBucket',
  plural: 'encryptedbuckets',
  shortName: 'ebkt',
  description: 'A bucket that is encrypted with a key from a KMS, and the credentials of those who use it.',
  spec: spec.describe('The bucket as it should be.'),
  status: status.describe('The bucket as the operator last saw it.'),
  rules: NAME_RULES,
  printerColumns: [
    { name: 'Ready', type: 'string', jsonPath: ready('status') },
    { name: 'Reason', type: 'string', jsonPath: ready('reason') },
    { name: 'Bucket', type: 'string', jsonPath: '.status.bucketName' },
    { name: 'KMS', type: 'string', jsonPath: '.spec.kmsConnectionRef.name' },
    { name: 'Key version', type: 'integer', jsonPath: '.status.key.version' },
    { name: 'Objects', type: 'integer', jsonPath: '.status.usage.objects', priority: 1 },
    { name: 'Size', type: 'string', jsonPath: '.status.usage.size', priority: 1 },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  ],
  selectableFields: ['.spec.bucketName', '.spec.kmsConnectionRef.name', '.spec.kmsConnectionRef.namespace'],
};

const object = objectOf('EncryptedBucket', spec, status);

/** An EncryptedBucket with all defaults. */
export type EncryptedBucket = Frozen<z.output<typeof object>>;
export type EncryptedBucketStatus = Frozen<z.output<typeof status>>;
export type AccessEntry = Frozen<z.output<typeof accessEntry>>;

/**
 * Reads an EncryptedBucket as the API server gives it and fills in the defaults of fields that are newer than it.
 *
 * @throws InvalidResourceError
 */
export function parseEncryptedBucket(value: unknown): EncryptedBucket {
  return readObject('EncryptedBucket', object, value);
}
