import { checkEncryptionHeaders, type Operation, refuseDeclared, requireBucket } from '../context.ts';

/**
 * DeleteBucket: an empty bucket with its open uploads. Its keys stay in the KMS; destroying one is never implied. One that a
 * resource declares is deleted with that resource only: it would be made again, with another key.
 */
export const deleteBucket: Operation = async (context) => {
  const { request, services } = context;
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  refuseDeclared(bucket, 'deletes it');
  await services.metadata.deleteBucket(bucket.name, bucket.bucketUid);
  return { status: 204 };
};
