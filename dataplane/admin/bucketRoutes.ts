/** The routes of buckets. What they do is KeyAdministration's. */
import { z } from 'zod';
import { isBucketName } from '../s3/target.ts';
import { parseAge, parseInterval } from './age.ts';
import { AdminError } from './errors.ts';
import { type AdminRoute, adminRoute, ok } from './route.ts';
import {
  bucketReport,
  bucketSummary,
  declareBucket,
  deleteBucketQuery,
  keyVersionReport,
  rotateBucket,
} from './schema/buckets.ts';
import { bucketPage, pageQuery, reencryptReport, rotationSchedule } from './schema/listings.ts';

const params = z.object({ name: z.string() });
/** What a KMS may have against the making of a key. */
const KMS_ERRORS = ['NoSuchConnection', 'KmsRefused', 'KmsUnavailable'] as const;

export const bucketRoutes: readonly AdminRoute[] = [
  adminRoute({
    method: 'GET',
    path: '/admin/v1/buckets',
    operationId: 'listBuckets',
    summary: 'All buckets by name, page by page.',
    query: pageQuery,
    answers: [{ status: 200, description: 'One page.', schema: bucketPage }],
    errors: [],
    handle: async ({ keys }, { query: { after, limit } }) =>
      ok(await keys.buckets({ after: after ?? '', limit })),
  }),
  adminRoute({
    method: 'GET',
    path: '/admin/v1/buckets/{name}',
    operationId: 'getBucket',
    summary: 'Settings, usage, key versions with what uses them, and how far a rewrap has come.',
    params,
    answers: [{ status: 200, description: 'The bucket.', schema: bucketReport }],
    errors: ['NoSuchBucket', 'Damaged'],
    handle: async ({ keys }, { params: { name } }) => ok(await keys.bucket(name)),
  }),
  adminRoute({
    method: 'PUT',
    path: '/admin/v1/buckets/{name}',
    operationId: 'declareBucket',
    summary: 'Makes the bucket with its key, takes it over, or changes what differs. Idempotent.',
    params,
    body: declareBucket,
    answers: [{ status: 200, description: 'The bucket as it is now.', schema: bucketReport }],
    errors: ['BucketNameTaken', 'NotEncryptable', 'BucketDeleting', 'Damaged', 'Conflict', ...KMS_ERRORS],
    handle: async ({ keys }, { params: { name }, body }) => {
      if (!isBucketName(name)) throw new AdminError('InvalidArgument', 'name: must be a bucket name of S3');
      const { owner, kmsConnection, keyRotation, requestId: answers, adopt } = body;
      const rotateEveryMs = keyRotation === null ? null : parseInterval(keyRotation.interval);
      if (keyRotation !== null && rotateEveryMs === null)
        throw new AdminError('InvalidArgument', 'keyRotation.interval: must be from 24h to 87600h');
      return ok(await keys.declare(name, { owner, kmsConnection, rotateEveryMs, answers, adopt }));
    },
  }),
  adminRoute({
    method: 'DELETE',
    path: '/admin/v1/buckets/{name}',
    operationId: 'deleteBucket',
    summary: 'Removes an empty bucket, or purges it. Its key versions are revoked in the KMS, not destroyed.',
    params,
    query: deleteBucketQuery.extend({
      // Known, so that it is refused by its name: nothing less may pass for it.
      mode: z.enum([...deleteBucketQuery.shape.mode.options, 'shred']),
    }),
    answers: [
      { status: 204, description: 'It is gone.', schema: null },
      { status: 202, description: 'It is being purged: ask again.', schema: bucketReport },
    ],
    errors: ['NoSuchBucket', 'BucketNameTaken', 'BucketNotEmpty', 'Damaged', 'Conflict', 'NotImplemented'],
    handle: async ({ keys }, { params: { name }, query: { mode, owner } }) => {
      if (mode === 'shred')
        throw new AdminError(
          'NotImplemented',
          'shred is not built: purge the bucket and destroy its keys when they are revoked',
        );
      const left = await keys.remove(name, { mode, owner: owner ?? null });
      return left === null ? { status: 204, body: null } : { status: 202, body: left };
    },
  }),
  adminRoute({
    method: 'POST',
    path: '/admin/v1/buckets/{name}/rotate',
    operationId: 'rotateBucket',
    summary:
      'Makes a new key version and puts it in use. The same requestId again answers the same version again.',
    params,
    body: rotateBucket,
    answers: [{ status: 200, description: 'The version that the request made.', schema: keyVersionReport }],
    errors: ['NoSuchBucket', 'NotEncrypted', 'RotationConflict', 'Damaged', 'Conflict', ...KMS_ERRORS],
    handle: async ({ keys }, { params: { name }, body: { requestId, toConnection } }) =>
      ok(await keys.rotate(name, { requestId, toConnection: toConnection ?? null })),
  }),
  adminRoute({
    method: 'PUT',
    path: '/admin/v1/buckets/{name}/rotation',
    operationId: 'setRotation',
    summary: 'How old the current key version may become. A declared bucket has it from its resource.',
    params,
    body: rotationSchedule,
    answers: [{ status: 200, description: 'The bucket as it is now.', schema: bucketSummary }],
    errors: ['NoSuchBucket', 'NotEncrypted', 'Damaged', 'Conflict'],
    handle: async ({ keys }, { params: { name }, body: { every } }) => {
      const everyMs = every === null ? null : parseAge(every);
      if (every !== null && everyMs === null)
        throw new AdminError(
          'InvalidArgument',
          'every: must be an age from 1h to 3660d, such as 90d, or null',
        );
      return ok(await keys.setRotation(name, everyMs));
    },
  }),
  adminRoute({
    method: 'POST',
    path: '/admin/v1/buckets/{name}/reencrypt',
    operationId: 'reencryptBucket',
    summary: 'Asks that every data key be replaced that is older than the current key version.',
    params,
    answers: [{ status: 200, description: 'How far it is.', schema: reencryptReport }],
    errors: ['NoSuchBucket', 'NotEncrypted', 'NothingOlder', 'Damaged'],
    handle: async ({ keys }, { params: { name } }) => ok(await keys.reencrypt(name)),
  }),
  adminRoute({
    method: 'GET',
    path: '/admin/v1/buckets/{name}/reencrypt',
    operationId: 'getReencryption',
    summary: 'How far a re-encryption is. Counts what remains, which takes a while for a large bucket.',
    params,
    answers: [{ status: 200, description: 'How far it is.', schema: reencryptReport }],
    errors: ['NoSuchBucket', 'NoReencryption', 'Damaged'],
    handle: async ({ keys }, { params: { name } }) => ok(await keys.reencryption(name)),
  }),
];
