/** Declared buckets, as the admin API takes and tells them. */
import { z } from 'zod';
import { connectionName, durationText, owner, timestamp } from './scalars.ts';

/** Names one rotation. */
const requestId = z.string().min(1, 'must not be empty').max(128);

/** PUT /admin/v1/buckets/{name}: idempotent; makes the bucket with its key, or replaces what differs; answers bucketReport. */
export const declareBucket = z.strictObject({
  owner,
  encryption: z.strictObject({ algorithm: z.literal('AES256') }),
  /** Whose KMS makes the next key version; that of an existing one stays. */
  kmsConnection: connectionName,
  /** How old the current key version may become; null: rotated only when asked. */
  keyRotation: z.strictObject({ interval: durationText }).nullable().default(null),
  /** When this makes the first key, a rotation of this requestId is answered with it: it was asked for before there was a bucket. */
  requestId: requestId.nullable().default(null),
  /** Takes over a bucket that this owner does not own: another's, or one made over S3 that is encrypted or empty. */
  adopt: z.boolean().default(false),
});

export const keyVersionState = z.enum([
  'Creating',
  'Current',
  'Readable',
  'Retiring',
  'Revoked',
  'Destroyed',
]);

export const keyVersionReport = z.object({
  bucketId: z.string(),
  /** null: the bucket is deleted, or its row failed its authentication. */
  bucket: z.string().nullable(),
  n: z.int(),
  state: keyVersionState,
  kmsConnection: z.string(),
  kmsName: z.string(),
  kmsId: z.string().nullable(),
  reservedAt: timestamp,
  /** When it became the current version by a rotation. */
  rotatedAt: timestamp.nullable(),
  requestId: z.string().nullable(),
  /** Sealed data keys that name it: of object versions, and of open uploads. */
  uses: z.object({ versions: z.int(), uploads: z.int() }),
});

export const bucketSummary = z.object({
  name: z.string(),
  bucketId: z.string(),
  /** Damaged: the row failed its authentication, and nothing else is told. Deleting: being purged; nobody sees it over S3. */
  state: z.enum(['Creating', 'Ready', 'Deleting', 'Damaged']),
  /** namespace/name of the resource that declared it; null: made over S3. */
  owner: z.string().nullable(),
  encryption: z.literal('AES256').nullable(),
  /** The connection that the next key version is made over; null: not declared. */
  kmsConnection: z.string().nullable(),
  /** The key version that new writes use. */
  keyVersion: z.int().nullable(),
  /** How old the current key version may become before it is rotated, such as `90d`; null: only when asked. */
  rotateEvery: z.string().nullable(),
  /** When the current key version is rotated by its schedule; null: only when asked. */
  nextRotationAt: timestamp.nullable(),
  createdAt: timestamp.nullable(),
});

export const rewrapReport = z.object({
  /** Idle: nothing refers to an older version. Waiting: see message. */
  state: z.enum(['Idle', 'Running', 'Waiting']),
  done: z.int(),
  remaining: z.int(),
  damaged: z.int(),
  message: z.string().nullable(),
});

/** GET and PUT /admin/v1/buckets/{name} */
export const bucketReport = bucketSummary.extend({
  usage: z.object({ objects: z.int(), bytes: z.int() }),
  keyVersions: z.array(keyVersionReport),
  rewrap: rewrapReport,
});

/** DELETE /admin/v1/buckets/{name}?mode=&owner=: 204 gone, 202 being purged (ask again), 404, 409 BucketNotEmpty, 409 BucketNameTaken. */
export const deleteBucketQuery = z.strictObject({
  mode: z.enum(['ifEmpty', 'purge']),
  /** Refused when the bucket has another owner. Without it only an undeclared bucket is deleted. */
  owner: owner.optional(),
});

/** POST /admin/v1/buckets/{name}/rotate: idempotent by requestId; answers keyVersionReport. */
export const rotateBucket = z.strictObject({
  requestId,
  toConnection: connectionName.nullish(),
});

/** GET /admin/v1/kms/{connection}: what hangs on a connection, whether or not the configuration still has it. */
export const connectionUse = z.object({
  connection: z.string(),
  /** Whether the configuration in force has it. */
  configured: z.boolean(),
  /** Key versions under it that are not Destroyed, of existing and of deleted buckets. */
  keyVersions: z.int(),
  /** Existing buckets whose current key version is under it. */
  buckets: z.int(),
});

export type DeclareBucket = z.input<typeof declareBucket>;
export type BucketReport = z.output<typeof bucketReport>;
export type KeyVersionReport = z.output<typeof keyVersionReport>;
export type ConnectionUse = z.output<typeof connectionUse>;
