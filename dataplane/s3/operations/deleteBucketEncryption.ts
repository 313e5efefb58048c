import { disableEncryption } from '../../buckets/bucketEncryption.ts';
import { checkEncryptionHeaders, type Operation, refuseDeclared, requireBucket } from '../context.ts';
import { S3Error } from '../errors.ts';

/** DeleteBucketEncryption: later objects are plain, earlier ones stay encrypted and readable. Not of a declared bucket. */
export const deleteBucketEncryption: Operation = async (context) => {
  const { request, services } = context;
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  refuseDeclared(bucket, 'sets its encryption');
  if (services.settings.policy.plainBuckets === 'Refused') {
    throw new S3Error('InvalidRequest', 'Plain buckets are refused here: encryption cannot be switched off.');
  }
  await disableEncryption(services.metadata, bucket);
  return { status: 204 };
};
