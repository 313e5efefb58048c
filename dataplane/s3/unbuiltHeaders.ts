/**
 * Headers that ask for a feature that is not built, and the one that names the owner a bucket must have: neither
 * may be ignored. For headers, query parameters (presigners move headers there) and form fields alike.
 */
import { S3Error } from './errors.ts';
import type { OperationName } from './router.ts';

type Entries = Iterable<readonly [name: string, value: string]>;

/** They change nothing that these headers speak of. */
const READS: ReadonlySet<OperationName> = new Set([
  ...(['ListBuckets', 'HeadBucket', 'GetBucketLocation', 'GetBucketEncryption', 'ListObjects'] as const),
  ...(['ListObjectsV2', 'ListMultipartUploads', 'ListParts', 'GetObject', 'HeadObject'] as const),
]);

/** The value (lower case) at which a header asks for nothing beyond what is built; any other one is 501. */
const HARMLESS: ReadonlyMap<string, string> = new Map([
  ['x-amz-bucket-object-lock-enabled', 'false'],
  ['x-amz-object-ownership', 'bucketownerenforced'],
  ['x-amz-bucket-namespace', 'global'],
]);

const NOT_BUILT: ReadonlySet<string> = new Set([
  'x-amz-mfa',
  'x-amz-tagging',
  'x-amz-website-redirect-location',
  'x-amz-write-offset-bytes',
]);
/** Conditions on a DELETE count too: an ignored condition deletes what should have stayed. */
const NOT_BUILT_PREFIXES = ['x-amz-object-lock-', 'x-amz-if-match-', 'x-amz-rename-source'];

/**
 * Refuses what a write asks for and would not get.
 *
 * @param carried names in any case; a form's fields `acl` and `tagging` under the names x-amz-acl and x-amz-tagging
 * @throws S3Error NotImplemented, AccessControlListNotSupported, InvalidStorageClass
 */
export function refuseUnbuiltHeaders(operation: OperationName, carried: { readonly entries: Entries }): void {
  if (READS.has(operation)) return;
  for (const [given, value] of carried.entries) {
    const name = given.toLowerCase();
    const harmless = HARMLESS.get(name);
    const refused = harmless === undefined ? isNotBuilt(name) : value.toLowerCase() !== harmless;
    if (refused) throw new S3Error('NotImplemented', undefined, { details: { Header: name } });
    if (name.startsWith('x-amz-grant-')) throw new S3Error('AccessControlListNotSupported');
    if (name === 'x-amz-acl' && value !== 'private' && value !== 'bucket-owner-full-control') {
      throw new S3Error('AccessControlListNotSupported');
    }
    if (name === 'x-amz-storage-class' && value !== 'STANDARD') {
      throw new S3Error('InvalidStorageClass', undefined, { details: { StorageClassRequested: value } });
    }
  }
}

function isNotBuilt(name: string): boolean {
  return NOT_BUILT.has(name) || NOT_BUILT_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/**
 * Honours x-amz-expected-bucket-owner, and for a copy's source x-amz-source-expected-bucket-owner: an owner who is
 * expected and is not the bucket's is a refusal, however often it is given. Call it for headers and for the query.
 *
 * @throws S3Error AccessDenied
 */
export function checkExpectedBucketOwner(
  carried: { readonly entries: Entries },
  ownerId: string,
  header = 'x-amz-expected-bucket-owner',
): void {
  for (const [name, value] of carried.entries) {
    if (name.toLowerCase() === header && value !== ownerId) throw new S3Error('AccessDenied');
  }
}
