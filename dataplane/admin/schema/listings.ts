/** Pages of buckets and keys, and what people ask about the keys of one bucket. */
import { z } from 'zod';
import { bucketSummary, keyVersionReport } from './buckets.ts';
import { timestamp } from './scalars.ts';

/** GET /admin/v1/buckets?after=&limit= */
export const pageQuery = z.strictObject({
  /** The `next` of the page before. */
  after: z.string().max(1_024).optional(),
  limit: z.coerce.number<string>().int().min(1).max(1_000).default(100),
});

/** GET /admin/v1/keys?after=&limit=&unused= */
export const keyPageQuery = pageQuery.extend({
  /** Only those that are revoked or due to be. */
  unused: z.enum(['true', 'false']).default('false'),
});

export const bucketPage = z.object({
  buckets: z.array(bucketSummary),
  /** Pass as `after` for the next page; null: this is the last. */
  next: z.string().nullable(),
});

export const keyPage = z.object({
  keys: z.array(keyVersionReport),
  /** Pass as `after` for the next page; null: this is the last. */
  next: z.string().nullable(),
});

/** PUT /admin/v1/buckets/{name}/rotation; a declared bucket's is set again by its resource. */
export const rotationSchedule = z.strictObject({
  /** 1h to 3660d, in d, h or m; null: rotated only when asked. */
  every: z.string().nullable(),
});

/** GET and POST /admin/v1/buckets/{name}/reencrypt */
export const reencryptReport = z.object({
  bucket: z.string(),
  /** Waiting: see message. */
  state: z.enum(['Running', 'Waiting', 'Finished']),
  /** Data keys that were made before this key version are replaced. */
  olderThan: z.int(),
  requestedAt: timestamp,
  finishedAt: timestamp.nullable(),
  /** Object versions written anew, and their plaintext bytes. */
  done: z.object({ versions: z.int(), bytes: z.int() }),
  /** Object versions and open uploads whose data key is older. */
  remaining: z.object({ versions: z.int(), uploads: z.int() }),
  /** Versions that do not verify: they cannot be read, nor written anew. */
  damaged: z.int(),
  /** Why it waits. */
  message: z.string().nullable(),
});

/** POST /admin/v1/kms/{connection}/flush */
export const flushedConnection = z.object({ connection: z.string() });
