/** The routes of key versions and KMS connections. What they do is KeyAdministration's. */
import { z } from 'zod';
import { type AdminRoute, adminRoute, ok } from './route.ts';
import { connectionUse, keyVersionReport } from './schema/buckets.ts';
import { flushedConnection, keyPage, keyPageQuery } from './schema/listings.ts';

const keyVersion = z.object({
  bucketId: z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hex characters'),
  n: z.coerce.number<string>().int().min(1),
});
const params = z.object({ connection: z.string() });

export const keyRoutes: readonly AdminRoute[] = [
  adminRoute({
    method: 'GET',
    path: '/admin/v1/keys',
    operationId: 'listKeys',
    summary: 'Key versions of all buckets, also of deleted ones, page by page.',
    query: keyPageQuery,
    answers: [
      { status: 200, description: 'One page, which may be empty and not the last.', schema: keyPage },
    ],
    errors: [],
    handle: async ({ keys }, { query: { after, limit, unused } }) =>
      ok(await keys.keys({ after: after ?? null, limit, unused: unused === 'true' })),
  }),
  adminRoute({
    method: 'POST',
    path: '/admin/v1/keys/{bucketId}/{n}/destroy',
    operationId: 'destroyKey',
    summary:
      'Destroys the key in the KMS: only one that is Revoked and that nothing uses. There is no way back.',
    params: keyVersion,
    answers: [{ status: 200, description: 'The destroyed version.', schema: keyVersionReport }],
    errors: [
      'NoSuchKeyVersion',
      'KeyInUse',
      'Damaged',
      'Conflict',
      'NoSuchConnection',
      'KmsRefused',
      'KmsUnavailable',
    ],
    handle: async ({ keys }, { params: { bucketId, n } }) => ok(await keys.destroyKey(bucketId, n)),
  }),
  adminRoute({
    method: 'GET',
    path: '/admin/v1/kms/{connection}',
    operationId: 'getConnectionUse',
    summary: 'What hangs on a KMS connection, whether or not the configuration still has it.',
    params,
    answers: [{ status: 200, description: 'Its uses.', schema: connectionUse }],
    errors: [],
    handle: async ({ keys }, { params: { connection } }) => ok(await keys.connectionUse(connection)),
  }),
  adminRoute({
    method: 'POST',
    path: '/admin/v1/kms/{connection}/flush',
    operationId: 'flushConnection',
    summary: 'Forgets the cached keys of a KMS connection on every thread.',
    params,
    answers: [{ status: 200, description: 'The connection.', schema: flushedConnection }],
    errors: ['NoSuchConnection'],
    handle: async ({ flush }, { params: { connection } }) => {
      await flush(connection);
      return ok({ connection });
    },
  }),
];
