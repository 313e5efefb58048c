import { MetadataError } from '../../metadata/metadata.ts';
import { authorizeDeletion } from '../authorize.ts';
import { commitConditionally, evaluateWriteCondition } from '../conditions.ts';
import { checkEncryptionHeaders, type Operation, requireBucket, type S3Context } from '../context.ts';
import { S3Error } from '../errors.ts';
import { XML_CONTENT } from '../exchange.ts';
import { toS3Error } from '../faults.ts';
import { receiveDocument } from '../receiveDocument.ts';
import { MAX_KEY_BYTES } from '../target.ts';
import { MAX_DOCUMENT_BYTES, type ObjectToDelete, parseDeleteObjects } from '../xml/requests.ts';
import { type DeleteOutcome, deleteResultXml } from '../xml/results.ts';

/** DeleteObjects: up to 1,000 keys, each with its own outcome. The body must be proven by a digest, as S3 demands. */
export const deleteObjects: Operation = async (context) => {
  const { request, services } = context;
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const subject = { operation: 'Other', encrypted: bucket.encryption === 'AES256' } as const;
  checkEncryptionHeaders(context, subject);
  const digested = request.headers.entries.some(
    ([name, value]) =>
      name === 'content-md5' ||
      name.startsWith('x-amz-checksum-') ||
      (name === 'x-amz-trailer' && value.includes('x-amz-checksum-')),
  );
  if (!digested) {
    throw new S3Error(
      'InvalidRequest',
      'Missing required header for this request: Content-MD5 OR x-amz-checksum-*',
    );
  }
  const maxBytes = MAX_DOCUMENT_BYTES.DeleteObjects;
  const { bytes } = await receiveDocument(context, { maxBytes, required: true, subject });
  const document = parseDeleteObjects(bytes);
  const outcomes = await Promise.all(
    document.objects.map(async (object): Promise<DeleteOutcome> => {
      const { key, versionId } = object;
      try {
        await deleteOne(context, bucket, object);
        return { key, versionId, error: null };
      } catch (error) {
        return { key, versionId, error: toS3Error(error, services.metrics) };
      }
    }),
  );
  return { status: 200, headers: XML_CONTENT, body: deleteResultXml(outcomes, document.quiet) };
};

async function deleteOne(
  context: S3Context,
  bucket: Awaited<ReturnType<typeof requireBucket>>,
  object: ObjectToDelete,
): Promise<void> {
  const { services } = context;
  authorizeDeletion(context.request.principal, bucket.name, object.key);
  if (object.key.length > MAX_KEY_BYTES) throw new S3Error('KeyTooLongError');
  if (object.versionId !== null && object.versionId !== 'null') throw new S3Error('NotImplemented');
  const condition = { ifMatch: object.etag, ifNoneMatch: false };
  const evaluate = () => evaluateWriteCondition(services, bucket, object.key, condition);
  await commitConditionally(
    evaluate,
    await evaluate(),
    async (expectCurrent) => {
      await services.metadata.deleteObject(bucket.name, bucket.bucketUid, object.key, expectCurrent);
    },
    (error) => error instanceof MetadataError && error.code === 'PreconditionFailed',
  );
}
