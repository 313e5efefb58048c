import { checkEncryptionHeaders, type Operation, requireBucket } from '../context.ts';
import { S3Error } from '../errors.ts';
import { XML_CONTENT } from '../exchange.ts';
import { bucketEncryptionXml } from '../xml/results.ts';

/** GetBucketEncryption: the one rule of an encrypted bucket, 404 for a plain one. */
export const getBucketEncryption: Operation = async (context) => {
  const { request, services } = context;
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const { encrypted } = checkEncryptionHeaders(context, {
    operation: 'Other',
    encrypted: bucket.encryption === 'AES256',
  });
  if (!encrypted) {
    throw new S3Error('ServerSideEncryptionConfigurationNotFoundError', undefined, {
      details: { BucketName: bucket.name },
    });
  }
  return { status: 200, headers: XML_CONTENT, body: bucketEncryptionXml() };
};
