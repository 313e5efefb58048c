/**
 * What access keys may do: grants, and whether they allow one thing on one place.
 *
 * Owns the decision alone, without any state: which permission an operation needs is operationNeeds.ts's, and who sent a
 * request is auth's. It must not know whether buckets or objects exist.
 */
import type { Grant, Permission } from '../admin/schema/accessKeys.ts';

/**
 * A grant made ready for many decisions: permissions on the keys of a bucket that begin with a prefix; an empty prefix is
 * the whole bucket.
 */
export interface HeldGrant {
  readonly bucket: string;
  /** UTF-8; keys are compared bytewise. */
  readonly prefix: Buffer;
  readonly permissions: ReadonlySet<Permission>;
}

/** What a principal may do: everything (the root), or what these grants say. */
export type Rights = 'everything' | readonly HeldGrant[];

/** The grants of an access key as rights. */
export function rightsOf(grants: readonly Grant[]): readonly HeldGrant[] {
  return grants.map(({ bucket, prefix, permissions }) => ({
    bucket,
    prefix: Buffer.from(prefix, 'utf8'),
    permissions: new Set(permissions),
  }));
}

/** Whether they allow this on an object's key, or on all keys that begin with these bytes. */
export function allowsKey(rights: Rights, permission: Permission, bucket: string, key: Uint8Array): boolean {
  if (rights === 'everything') return true;
  return rights.some(
    (grant) => grant.bucket === bucket && grant.permissions.has(permission) && startsWith(key, grant.prefix),
  );
}

/** Whether they allow this on the bucket as a whole: a grant on a prefix does not. */
export function allowsBucket(rights: Rights, permission: Permission, bucket: string): boolean {
  return allowsKey(rights, permission, bucket, EMPTY);
}

/** Whether they allow anything in the bucket: then it may be known that the bucket exists. */
export function reachesBucket(rights: Rights, bucket: string): boolean {
  return rights === 'everything' || rights.some((grant) => grant.bucket === bucket);
}

const EMPTY = new Uint8Array(0);

function startsWith(key: Uint8Array, prefix: Buffer): boolean {
  return prefix.length <= key.length && prefix.equals(key.subarray(0, prefix.length));
}
