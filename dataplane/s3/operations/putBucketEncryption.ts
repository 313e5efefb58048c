import { enableEncryption } from '../../buckets/bucketEncryption.ts';
import { BucketTakenError } from '../../buckets/createBucket.ts';
import { parseBucketEncryption } from '../../headers/bucketEncryption.ts';
import { checkEncryptionHeaders, type Operation, requireBucket } from '../context.ts';
import { S3Error } from '../errors.ts';
import { keyMaking } from '../keyMaking.ts';
import { receiveDocument } from '../receiveDocument.ts';
import { MAX_DOCUMENT_BYTES } from '../xml/requests.ts';

/** PutBucketEncryption: one AES256 rule encrypts what is written from then on; anything else is refused. */
export const putBucketEncryption: Operation = async (context) => {
  const { request, services } = context;
  const found = await requireBucket(services, request.principal, request.bucket);
  const subject = { operation: 'Other', encrypted: found.encryption === 'AES256' } as const;
  checkEncryptionHeaders(context, subject);
  const maxBytes = MAX_DOCUMENT_BYTES.PutBucketEncryption;
  const { bytes } = await receiveDocument(context, { maxBytes, required: true, subject });
  parseBucketEncryption(bytes);
  // The body takes as long as its client likes: the bucket may have got its key meanwhile.
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const connection = services.settings.defaultKmsConnection;
  if (bucket.keyVersion === null && connection === null) {
    throw new S3Error(
      'InvalidRequest',
      'No KMS connection is configured for buckets encrypted over S3 (defaultKmsConnection).',
    );
  }
  try {
    await enableEncryption(keyMaking(services), bucket, connection ?? '');
  } catch (error) {
    if (error instanceof BucketTakenError) throw new S3Error('OperationAborted', undefined, { cause: error });
    throw error;
  }
  return { status: 200 };
};
