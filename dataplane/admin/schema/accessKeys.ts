/** Access keys with grants, as the admin API takes and tells them. */
import { z } from 'zod';
import { owner, timestamp } from './scalars.ts';

/** What a grant may allow. admin: settings of the bucket (encryption); it never makes or deletes a declared bucket. */
export const PERMISSIONS = ['read', 'write', 'delete', 'list', 'admin'] as const;

export const grant = z.strictObject({
  /** Name of the bucket. */
  bucket: z.string().min(3).max(63),
  /** Keys that begin so; empty: the whole bucket. */
  prefix: z.string().max(1_024).default(''),
  permissions: z.array(z.enum(PERMISSIONS)).min(1).max(PERMISSIONS.length),
});

export const accessKeyId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{16,128}$/, 'must be 16 to 128 letters, digits, "_" or "-"');

/** PUT /admin/v1/access-keys/{accessKeyId}: makes the key or replaces what differs; answers accessKey. */
export const putAccessKey = z.strictObject({
  owner,
  /** Required for a new key; without it the secret of an existing one stays. */
  secretAccessKey: z
    .string()
    .regex(/^[!-~]{16,128}$/, 'must be 16 to 128 printable characters without blanks')
    .optional(),
  grants: z.array(grant).min(1).max(16),
  /** Refused with Conflict unless the bucket of each grant is declared by this owner at that moment. */
  ownBucketsOnly: z.boolean().default(false),
  /** From then on the key is refused as if it did not exist; null: it does not end by itself. */
  expiresAt: timestamp.nullable().default(null),
});

/** GET and DELETE /admin/v1/access-keys/{accessKeyId}?owner=: refused when the access key has another owner. */
export const accessKeyQuery = z.strictObject({ owner: owner.optional() });

/** What is told of an access key; never its secret. */
export const accessKey = z.object({
  accessKeyId,
  owner,
  grants: z.array(grant),
  createdAt: timestamp,
  expiresAt: timestamp.nullable(),
});

/** GET /admin/v1/access-keys?owner=&after=&limit=: answers accessKeyPage. */
export const accessKeyPageQuery = z.strictObject({
  /** Without it those of every owner. */
  owner: owner.optional(),
  after: z.string().max(128).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export const accessKeyPage = z.object({
  accessKeys: z.array(accessKey),
  /** Pass as `after` for the next page; null: this is the last. */
  next: z.string().nullable(),
});

export type Permission = (typeof PERMISSIONS)[number];
export type Grant = z.output<typeof grant>;
export type PutAccessKey = z.input<typeof putAccessKey>;
export type AccessKey = z.output<typeof accessKey>;
export type AccessKeyPage = z.output<typeof accessKeyPage>;
