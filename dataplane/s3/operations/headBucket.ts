import { checkEncryptionHeaders, type Operation, requireBucket } from '../context.ts';

/** HeadBucket: tells an encrypted bucket by x-amz-scal-server-side-encryption. */
export const headBucket: Operation = async (context) => {
  const { request, services } = context;
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const { encrypted } = checkEncryptionHeaders(context, {
    operation: 'Other',
    encrypted: bucket.encryption === 'AES256',
  });
  return {
    status: 200,
    headers: {
      'x-amz-bucket-region': bucket.region,
      ...(encrypted ? { 'x-amz-scal-server-side-encryption': 'AES256' } : {}),
    },
  };
};
