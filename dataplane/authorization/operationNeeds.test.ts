import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PERMISSIONS, type Permission } from '../admin/schema/accessKeys.ts';
import type { OperationName } from '../s3/router.ts';
import { rightsOf } from './grants.ts';
import { allowsOperation, type OperationPlace } from './operationNeeds.ts';

/** Who may do what, written a second time: by permission; of a copy, that of its source behind a +. */
const ALLOWED: Readonly<
  Record<OperationName, 'root' | 'anybody' | 'any grant' | Permission | 'write + read'>
> = {
  AbortMultipartUpload: 'write',
  CompleteMultipartUpload: 'write',
  CopyObject: 'write + read',
  CreateBucket: 'root',
  CreateMultipartUpload: 'write',
  DeleteBucket: 'admin',
  DeleteBucketEncryption: 'admin',
  DeleteObject: 'delete',
  DeleteObjects: 'any grant',
  GetBucketEncryption: 'any grant',
  GetBucketLocation: 'any grant',
  GetObject: 'read',
  HeadBucket: 'any grant',
  HeadObject: 'read',
  ListBuckets: 'anybody',
  ListMultipartUploads: 'list',
  ListObjects: 'list',
  ListObjectsV2: 'list',
  ListParts: 'write',
  PostObject: 'write',
  PutBucketEncryption: 'admin',
  PutObject: 'write',
  UploadPart: 'write',
  UploadPartCopy: 'write + read',
};
const OPERATIONS = Object.keys(ALLOWED) as OperationName[];
const WHOLE_BUCKET: ReadonlySet<string> = new Set(['admin']);

const place = (bucket: string, key: string): OperationPlace => ({
  bucket,
  key: Buffer.from(key),
  prefix: Buffer.from(key),
  source: { bucket, key: Buffer.from(key) },
});
const here = place('bucket', 'in/side');

/** Whether a single permission, held on the place, is enough. */
function suffices(operation: OperationName, permission: Permission): boolean {
  const needed = ALLOWED[operation];
  return needed === 'anybody' || needed === 'any grant' || needed === permission;
}

describe.each(OPERATIONS)('%s', (operation) => {
  const allowed = (bucket: string, prefix: string, permissions: Permission[], at = here): boolean =>
    allowsOperation(rightsOf([{ bucket, prefix, permissions }]), operation, at);

  test("is the root's anywhere, and of nobody without a grant but ListBuckets", () => {
    expect(allowsOperation('everything', operation, here)).toBe(true);
    expect(allowsOperation([], operation, here)).toBe(operation === 'ListBuckets');
  });

  test.each(PERMISSIONS)('with %s on the whole bucket alone is as the table says', (permission) => {
    expect(allowed('bucket', '', [permission])).toBe(suffices(operation, permission));
  });

  test('with all but what it needs is refused', () => {
    const needed = ALLOWED[operation];
    const others = PERMISSIONS.filter((permission) => !needed.split(' + ').includes(permission));
    if (needed === 'anybody' || needed === 'any grant') return;
    expect(allowed('bucket', '', others)).toBe(false);
  });

  test('with everything on the whole bucket is allowed, but for CreateBucket', () => {
    expect(allowed('bucket', '', [...PERMISSIONS])).toBe(operation !== 'CreateBucket');
  });

  test('with everything on a prefix is allowed inside of it, and what concerns the whole bucket is not', () => {
    const needed = ALLOWED[operation];
    const inside = needed !== 'root' && !WHOLE_BUCKET.has(needed);
    expect(allowed('bucket', 'in/', [...PERMISSIONS])).toBe(inside);
    expect(allowed('bucket', 'in/side', [...PERMISSIONS])).toBe(inside);
    const outside = needed === 'anybody' || needed === 'any grant';
    for (const prefix of ['out/', 'in/side/', 'IN/', 'n/side'])
      expect(allowed('bucket', prefix, [...PERMISSIONS]), prefix).toBe(outside);
    // A listing of everything, a key that is shorter than the prefix.
    expect(allowed('bucket', 'in/', [...PERMISSIONS], place('bucket', 'i'))).toBe(outside);
    expect(allowed('bucket', 'in/', [...PERMISSIONS], { ...here, prefix: Buffer.alloc(0), key: null })).toBe(
      outside,
    );
  });

  test('with everything on another bucket is refused', () => {
    for (const bucket of ['bucket2', 'bucke', 'Bucket', ''])
      expect(allowed(bucket, '', [...PERMISSIONS]), bucket).toBe(operation === 'ListBuckets');
  });

  test('without a place is refused', () => {
    const nowhere = { bucket: null, key: null, prefix: Buffer.alloc(0), source: null };
    expect(allowed('bucket', '', [...PERMISSIONS], nowhere)).toBe(operation === 'ListBuckets');
  });
});

describe.each(['CopyObject', 'UploadPartCopy'] as const)('%s', (operation) => {
  const from = (bucket: string, key: string): OperationPlace => ({
    ...here,
    source: { bucket, key: Buffer.from(key) },
  });
  const rights = rightsOf([
    { bucket: 'bucket', prefix: 'in/', permissions: ['write'] },
    { bucket: 'other', prefix: 'from/', permissions: ['read'] },
    { bucket: 'bucket', prefix: 'from/', permissions: ['write', 'list', 'delete'] },
  ]);

  test('needs write where it writes and read where it reads, by different grants or one', () => {
    expect(allowsOperation(rights, operation, from('other', 'from/a'))).toBe(true);
    expect(allowsOperation(rights, operation, from('other', 'to/a'))).toBe(false);
    expect(allowsOperation(rights, operation, from('bucket', 'from/a'))).toBe(false);
    expect(allowsOperation(rights, operation, from('bucket', 'in/side'))).toBe(false);
    expect(allowsOperation(rights, operation, { ...from('other', 'from/a'), key: Buffer.from('from') })).toBe(
      false,
    );
    expect(allowsOperation(rights, operation, { ...here, source: null })).toBe(false);
  });
});

test('prefixes are compared bytewise, also inside a character', () => {
  const rights = rightsOf([{ bucket: 'bucket', prefix: 'é', permissions: ['read'] }]);
  const get = (key: Uint8Array) => allowsOperation(rights, 'GetObject', { ...here, key });
  expect(get(Buffer.from('été'))).toBe(true);
  expect(get(Buffer.from('e\u0301'))).toBe(false);
  expect(get(Buffer.from([0xc3]))).toBe(false);
});

test('the table in docs/access-keys.md says the same of every operation', () => {
  const page = readFileSync(new URL('../../docs/access-keys.md', import.meta.url), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| ') && line.includes(' | '));
  const told = new Map<string, string>();
  for (const row of rows) {
    const [, needs = '', operations = ''] = row.split('|').map((cell) => cell.trim());
    for (const name of operations.split(/,\s*/)) told.set(name, needs.replaceAll('`', ''));
  }
  const documented = Object.fromEntries(OPERATIONS.map((name) => [name, told.get(name)]));
  expect(documented).toEqual(ALLOWED);
});
