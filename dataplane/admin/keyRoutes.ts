/** The routes of buckets and their keys: what a request must look like; what it does is KeyAdministration's. */
import type { FastifyInstance } from 'fastify';
import { z } from 'zod';
import { parseAge } from './age.ts';
import { AdminError } from './errors.ts';
import type { KeyAdministration } from './keyAdministration.ts';

export interface KeyRouteOptions {
  readonly keys: KeyAdministration;
  /** Forgets the cached keys of a connection on every thread. Rejects with AdminError 'NoSuchConnection'. */
  readonly flush: (connection: string) => Promise<void>;
}

const page = z.strictObject({
  after: z.string().max(1_024).optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
const keyPage = page.extend({ unused: z.enum(['true', 'false']).default('false') });
const bucketName = z.object({ name: z.string() });
const rotation = z.strictObject({
  requestId: z.string().min(1, 'must not be empty').max(128),
  toConnection: z.string().min(1).max(255).nullish(),
});
const schedule = z.strictObject({ every: z.string().nullable() });
const keyVersion = z.object({
  bucketId: z.string().regex(/^[0-9a-f]{32}$/, 'must be 32 hex characters'),
  n: z.coerce.number().int().min(1),
});
const connection = z.object({ connection: z.string() });

/** Adds the routes under /admin/v1. */
export function registerKeyRoutes(server: FastifyInstance, { keys, flush }: KeyRouteOptions): void {
  server.get('/admin/v1/buckets', async ({ query }) => {
    const { after, limit } = parsed(page, query);
    return await keys.buckets({ after: after ?? '', limit });
  });
  server.get('/admin/v1/buckets/:name', async ({ params }) => keys.bucket(parsed(bucketName, params).name));
  server.post('/admin/v1/buckets/:name/rotate', async ({ params, body }) => {
    const { requestId, toConnection } = parsed(rotation, body);
    return await keys.rotate(parsed(bucketName, params).name, {
      requestId,
      toConnection: toConnection ?? null,
    });
  });
  server.put('/admin/v1/buckets/:name/rotation', async ({ params, body }) => {
    const { every } = parsed(schedule, body);
    const everyMs = every === null ? null : parseAge(every);
    if (every !== null && everyMs === null) {
      throw new AdminError('InvalidArgument', 'every: must be an age from 1h to 3660d, such as 90d, or null');
    }
    return await keys.setRotation(parsed(bucketName, params).name, everyMs);
  });
  server.post('/admin/v1/buckets/:name/reencrypt', async ({ params }) =>
    keys.reencrypt(parsed(bucketName, params).name),
  );
  server.get('/admin/v1/buckets/:name/reencrypt', async ({ params }) =>
    keys.reencryption(parsed(bucketName, params).name),
  );
  server.get('/admin/v1/keys', async ({ query }) => {
    const { after, limit, unused } = parsed(keyPage, query);
    return await keys.keys({ after: after ?? null, limit, unused: unused === 'true' });
  });
  server.post('/admin/v1/keys/:bucketId/:n/destroy', async ({ params }) => {
    const { bucketId, n } = parsed(keyVersion, params);
    return await keys.destroyKey(bucketId, n);
  });
  server.post('/admin/v1/kms/:connection/flush', async ({ params }) => {
    const { connection: name } = parsed(connection, params);
    await flush(name);
    return { connection: name };
  });
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue?.path.join('.') ?? '';
  throw new AdminError('InvalidArgument', `${place === '' ? 'the request' : place}: ${issue?.message ?? ''}`);
}
