import { checkEncryptionHeaders, type Operation, requireBucket } from '../context.ts';
import { XML_CONTENT } from '../exchange.ts';
import { locationXml } from '../xml/results.ts';

/** GetBucketLocation. */
export const getBucketLocation: Operation = async (context) => {
  const { request, services } = context;
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  return { status: 200, headers: XML_CONTENT, body: locationXml(bucket.region) };
};
