/**
 * The operations that access keys stand on: credentials with grants, declared over the admin API.
 *
 * An access key is a control row of its own. Every request that it signs reads the row, so that a revocation is in force
 * on every thread with the next request.
 */
import type { Grant } from '../admin/schema/accessKeys.ts';
import type { MetadataError } from './errors.ts';

/** One access key, a control row. `revision` grows by one with each change. */
export interface AccessKeyDocument {
  readonly accessKeyId: string;
  readonly revision: number;
  /** namespace/name of the resource that declared it. */
  readonly owner: string;
  readonly grants: readonly Grant[];
  readonly createdMs: number;
  /** From then on it is as if it did not exist; null = it does not end by itself. */
  readonly expiresMs: number | null;
  /** Salt and sealed secret (docs/format.md, "Access keys"), base64. */
  readonly secretSalt: string;
  readonly sealedSecret: string;
}

/** An access key of an inventory: what is wrong with its row does not hide the others. */
export interface AccessKeyEntry {
  readonly accessKeyId: string;
  readonly accessKey: AccessKeyDocument | MetadataError;
}

export interface AccessKeyQuery {
  /** null = of every owner. */
  readonly owner: string | null;
  /** Only ids behind this one; empty = from the start. */
  readonly after: string;
  readonly limit: number;
}

/** What a metadata engine offers about access keys. All failures are MetadataError; 'Integrity' for a row that was edited. */
export interface AccessKeys {
  /**
   * The access key of this id, read in the tick of the call: authentication does not wait. As long as the row stays as it
   * is, byte for byte, the same frozen object comes back.
   */
  accessKey(accessKeyId: string): AccessKeyDocument | null;
  /** Access keys by id. */
  listAccessKeys(query: AccessKeyQuery): Promise<readonly AccessKeyEntry[]>;
  /**
   * Inserts (revision 0) or replaces the row whose revision is one lower; otherwise MetadataError 'Conflict'. The same, with
   * `ownBucketsOnly`, when a grant names a bucket that this owner has not declared, or has not any more.
   */
  putAccessKey(accessKey: AccessKeyDocument, ownBucketsOnly?: boolean): Promise<void>;
  /** Removes the row of this revision ('Conflict' for another one), or whatever row it is (null). False when there is none. */
  deleteAccessKey(accessKeyId: string, revision: number | null): Promise<boolean>;
}
