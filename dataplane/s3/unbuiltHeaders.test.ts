import { describe, expect, it } from 'vitest';
import { S3Error } from './errors.ts';
import { HeaderBag } from './request.ts';
import type { OperationName } from './router.ts';
import { checkExpectedBucketOwner, refuseUnbuiltHeaders } from './unbuiltHeaders.ts';

function codeOf(check: () => void): string {
  try {
    check();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'accepted';
}

function refusal(operation: OperationName, name: string, value: string): string {
  return codeOf(() => refuseUnbuiltHeaders(operation, new HeaderBag(['Host', 'h', name, value])));
}

describe('refuseUnbuiltHeaders', () => {
  it.each([
    ['x-amz-tagging', 'a=b', 'NotImplemented'],
    ['X-Amz-Tagging', '', 'NotImplemented'],
    ['x-amz-object-lock-mode', 'GOVERNANCE', 'NotImplemented'],
    ['x-amz-object-lock-retain-until-date', '2030-01-01', 'NotImplemented'],
    ['x-amz-object-lock-legal-hold', 'OFF', 'NotImplemented'],
    ['x-amz-bucket-object-lock-enabled', 'true', 'NotImplemented'],
    ['x-amz-bucket-object-lock-enabled', 'false', 'accepted'],
    ['x-amz-object-ownership', 'ObjectWriter', 'NotImplemented'],
    ['x-amz-object-ownership', 'BucketOwnerEnforced', 'accepted'],
    ['x-amz-bucket-namespace', 'account-regional', 'NotImplemented'],
    ['x-amz-bucket-namespace', 'global', 'accepted'],
    ['x-amz-website-redirect-location', '/a', 'NotImplemented'],
    ['x-amz-mfa', '1 2', 'NotImplemented'],
    ['x-amz-write-offset-bytes', '5', 'NotImplemented'],
    ['x-amz-if-match-size', '5', 'NotImplemented'],
    ['x-amz-if-match-last-modified-time', 'x', 'NotImplemented'],
    ['x-amz-rename-source', '/a', 'NotImplemented'],
    ['x-amz-acl', 'private', 'accepted'],
    ['x-amz-acl', 'bucket-owner-full-control', 'accepted'],
    ['x-amz-acl', 'public-read', 'AccessControlListNotSupported'],
    ['x-amz-acl', '', 'AccessControlListNotSupported'],
    ['x-amz-grant-read', 'id=1', 'AccessControlListNotSupported'],
    ['x-amz-grant-full-control', 'id=1', 'AccessControlListNotSupported'],
    ['x-amz-storage-class', 'STANDARD', 'accepted'],
    ['x-amz-storage-class', 'STANDARD_IA', 'InvalidStorageClass'],
    ['x-amz-storage-class', 'standard', 'InvalidStorageClass'],
    ['x-amz-request-payer', 'requester', 'accepted'],
    ['x-amz-copy-source-if-match', 'e', 'accepted'],
    ['x-amz-meta-x-amz-tagging', 'a=b', 'accepted'],
  ])('answers a write with %s: %s with %s', (name, value, code) => {
    expect(refusal('PutObject', name, value)).toBe(code);
    expect(refusal('CreateBucket', name, value)).toBe(code);
  });

  it('finds the header among others and names it', () => {
    const headers = new HeaderBag(['x-amz-acl', 'private', 'X-Amz-Tagging', 'a=b']);
    expect(() => refuseUnbuiltHeaders('CopyObject', headers)).toThrow(
      expect.objectContaining({ code: 'NotImplemented', details: { Header: 'x-amz-tagging' } }),
    );
  });

  it.each<OperationName>(['GetObject', 'HeadObject', 'ListObjectsV2', 'HeadBucket', 'ListParts'])(
    'leaves %s alone, which writes nothing',
    (operation) => {
      expect(refusal(operation, 'x-amz-tagging', 'a=b')).toBe('accepted');
      expect(refusal(operation, 'x-amz-acl', 'public-read')).toBe('accepted');
    },
  );

  it.each<OperationName>([
    'DeleteObject',
    'DeleteObjects',
    'UploadPart',
    'CompleteMultipartUpload',
    'PostObject',
  ])('holds %s to them', (operation) => {
    expect(refusal(operation, 'x-amz-mfa', '1 2')).toBe('NotImplemented');
  });
});

describe('checkExpectedBucketOwner', () => {
  const owner = 'a'.repeat(64);
  const expected = 'x-amz-expected-bucket-owner';
  const source = 'x-amz-source-expected-bucket-owner';

  it.each<[raw: string[], code: string]>([
    [[], 'accepted'],
    [['Host', 'h'], 'accepted'],
    [[expected, owner], 'accepted'],
    [['X-Amz-Expected-Bucket-Owner', owner], 'accepted'],
    [[expected, '111122223333'], 'AccessDenied'],
    [[expected, ''], 'AccessDenied'],
    [[expected, owner, expected, 'b'], 'AccessDenied'],
    [[source, 'b'], 'accepted'],
  ])('answers %j', (raw, code) => {
    expect(codeOf(() => checkExpectedBucketOwner(new HeaderBag(raw), owner))).toBe(code);
  });

  it('reads the query as well, and the owner of a copy source under its own name', () => {
    const entries = [['X-Amz-Expected-Bucket-Owner', 'b']] as const;
    expect(codeOf(() => checkExpectedBucketOwner({ entries }, owner))).toBe('AccessDenied');
    expect(codeOf(() => checkExpectedBucketOwner(new HeaderBag([source, 'b']), owner, source))).toBe(
      'AccessDenied',
    );
    expect(codeOf(() => checkExpectedBucketOwner(new HeaderBag([source, owner]), owner, source))).toBe(
      'accepted',
    );
  });
});
