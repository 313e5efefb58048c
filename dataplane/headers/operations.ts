/** Which row of the decision table each operation belongs to. A new operation does not compile without one. */
import type { OperationName } from '../s3/router.ts';
import type { RuleSubject } from './rules.ts';

const ROWS: Readonly<Record<OperationName, RuleSubject['operation']>> = {
  CreateBucket: 'CreateBucket',
  PutObject: 'Write',
  PostObject: 'Write',
  CopyObject: 'Write',
  CreateMultipartUpload: 'Write',
  UploadPart: 'Write',
  UploadPartCopy: 'Write',
  CompleteMultipartUpload: 'FinishUpload',
  AbortMultipartUpload: 'FinishUpload',
  GetObject: 'Read',
  HeadObject: 'Read',
  ListBuckets: 'Other',
  HeadBucket: 'Other',
  DeleteBucket: 'Other',
  GetBucketLocation: 'Other',
  PutBucketEncryption: 'Other',
  GetBucketEncryption: 'Other',
  DeleteBucketEncryption: 'Other',
  ListObjects: 'Other',
  ListObjectsV2: 'Other',
  ListMultipartUploads: 'Other',
  ListParts: 'Other',
  DeleteObject: 'Other',
  DeleteObjects: 'Other',
};

/** The `operation` of the rule subject to ask decide() about. */
export function ruleOperation(operation: OperationName): RuleSubject['operation'] {
  return ROWS[operation];
}
