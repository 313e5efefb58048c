/** Which permission each S3 operation needs, and on what. docs/access-keys.md is the users' copy of this table. */
import type { Permission } from '../admin/schema/accessKeys.ts';
import type { OperationName } from '../s3/router.ts';
import { allowsBucket, allowsKey, type Rights, reachesBucket } from './grants.ts';

/**
 * The root credentials alone; any principal (the answer shows only what it may see); any grant on the bucket; a permission
 * on the whole bucket, on the object's key, or on every key that begins with the listing's prefix.
 */
type Need = 'root' | 'anybody' | 'anyGrant' | OnPlace | OnCopy;

interface OnPlace {
  readonly on: 'bucket' | 'key' | 'prefix';
  readonly permission: Permission;
}

/** A copy also reads its source. */
interface OnCopy {
  readonly on: 'keyAndSource';
  readonly permission: Permission;
  readonly ofSource: Permission;
}

const WRITE: Need = { on: 'key', permission: 'write' };
const READ: Need = { on: 'key', permission: 'read' };
const LIST: Need = { on: 'prefix', permission: 'list' };
const SETTINGS: Need = { on: 'bucket', permission: 'admin' };
const COPY: Need = { on: 'keyAndSource', permission: 'write', ofSource: 'read' };

const NEEDS: Readonly<Record<OperationName, Need>> = {
  ListBuckets: 'anybody',
  CreateBucket: 'root',
  HeadBucket: 'anyGrant',
  GetBucketLocation: 'anyGrant',
  GetBucketEncryption: 'anyGrant',
  PutBucketEncryption: SETTINGS,
  DeleteBucketEncryption: SETTINGS,
  DeleteBucket: SETTINGS,
  ListObjects: LIST,
  ListObjectsV2: LIST,
  ListMultipartUploads: LIST,
  // Its keys are in its body: each one is judged by itself, and has an answer of its own.
  DeleteObjects: 'anyGrant',
  DeleteObject: { on: 'key', permission: 'delete' },
  GetObject: READ,
  HeadObject: READ,
  PutObject: WRITE,
  PostObject: WRITE,
  CopyObject: COPY,
  CreateMultipartUpload: WRITE,
  UploadPart: WRITE,
  UploadPartCopy: COPY,
  CompleteMultipartUpload: WRITE,
  AbortMultipartUpload: WRITE,
  ListParts: WRITE,
};

/** What an operation is about. */
export interface OperationPlace {
  readonly bucket: string | null;
  readonly key: Uint8Array | null;
  /** Of a listing. */
  readonly prefix: Uint8Array;
  /** Of a copy. */
  readonly source: { readonly bucket: string; readonly key: Uint8Array } | null;
}

/** Whether these rights allow the operation there. A place that the operation needs and that is missing is refused. */
export function allowsOperation(rights: Rights, operation: OperationName, place: OperationPlace): boolean {
  if (rights === 'everything') return true;
  const need = NEEDS[operation];
  if (need === 'root') return false;
  if (need === 'anybody') return true;
  const { bucket, key, prefix, source } = place;
  if (bucket === null) return false;
  if (need === 'anyGrant') return reachesBucket(rights, bucket);
  switch (need.on) {
    case 'bucket':
      return allowsBucket(rights, need.permission, bucket);
    case 'prefix':
      return allowsKey(rights, need.permission, bucket, prefix);
    case 'key':
      return key !== null && allowsKey(rights, need.permission, bucket, key);
    case 'keyAndSource':
      return (
        key !== null &&
        source !== null &&
        allowsKey(rights, need.permission, bucket, key) &&
        allowsKey(rights, need.ofSource, source.bucket, source.key)
      );
  }
}
