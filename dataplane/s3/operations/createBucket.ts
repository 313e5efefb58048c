import { BucketTakenError, createBucket as makeBucket } from '../../buckets/createBucket.ts';
import { checkEncryptionHeaders, type Operation } from '../context.ts';
import { S3Error } from '../errors.ts';
import { keyMaking } from '../keyMaking.ts';
import { receiveDocument } from '../receiveDocument.ts';
import { isBucketName } from '../target.ts';
import { MAX_DOCUMENT_BYTES, parseCreateBucketConfiguration } from '../xml/requests.ts';

/**
 * CreateBucket: with `AES256` in either server-side-encryption header an encrypted bucket, whose key the KMS makes
 * before the answer. A bucket of one's own is 409 in every region: a 200 would pass a plain one off as encrypted.
 */
export const createBucket: Operation = async (context) => {
  const { request, services } = context;
  const { settings } = services;
  const name = request.bucket ?? '';
  if (!isBucketName(name))
    throw new S3Error('InvalidBucketName', undefined, { details: { BucketName: name } });
  const subject = { operation: 'CreateBucket' } as const;
  checkEncryptionHeaders(context, subject);
  const maxBytes = MAX_DOCUMENT_BYTES.CreateBucket;
  const { bytes, encrypted } = await receiveDocument(context, { maxBytes, required: false, subject });
  const location = parseCreateBucketConfiguration(bytes) ?? 'us-east-1';
  // Without a constraint AWS means us-east-1; here it means the one region that there is.
  if (location !== settings.region && location !== 'us-east-1') {
    throw new S3Error('IllegalLocationConstraintException');
  }
  if (!encrypted && settings.policy.plainBuckets === 'Refused') {
    throw new S3Error(
      'InvalidRequest',
      'Plain buckets are refused here: ask for encryption with x-amz-scal-server-side-encryption: AES256.',
    );
  }
  const kmsConnection = encrypted ? settings.defaultKmsConnection : null;
  if (encrypted && kmsConnection === null) {
    throw new S3Error(
      'InvalidRequest',
      'No KMS connection is configured for encrypted buckets made over S3 (defaultKmsConnection).',
    );
  }
  try {
    await makeBucket(keyMaking(services), {
      name,
      ownerId: request.principal.ownerId,
      region: settings.region,
      kmsConnection,
    });
  } catch (error) {
    if (error instanceof BucketTakenError) throw taken(error, name);
    throw error;
  }
  return { status: 200, headers: { location: `/${name}` } };
};

function taken(error: BucketTakenError, name: string): S3Error {
  const options = { cause: error, details: { BucketName: name } };
  if (error.by === 'owner') return new S3Error('BucketAlreadyOwnedByYou', undefined, options);
  if (error.by === 'other') return new S3Error('BucketAlreadyExists', undefined, options);
  return new S3Error('OperationAborted', undefined, options);
}
