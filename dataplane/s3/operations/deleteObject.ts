import { MetadataError } from '../../metadata/metadata.ts';
import { commitConditionally, evaluateWriteCondition, writeCondition } from '../conditions.ts';
import { checkEncryptionHeaders, type Operation, requireBucket, requireKey } from '../context.ts';

/** DeleteObject: 204 whether or not there was an object, as S3; If-Match is honoured. */
export const deleteObject: Operation = async (context) => {
  const { request, services } = context;
  const key = requireKey(request);
  const condition = writeCondition(request.headers);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  const evaluate = () => evaluateWriteCondition(services, bucket, key, condition);
  await commitConditionally(
    evaluate,
    await evaluate(),
    async (expectCurrent) => {
      await services.metadata.deleteObject(bucket.name, bucket.bucketUid, key, expectCurrent);
    },
    (error) => error instanceof MetadataError && error.code === 'PreconditionFailed',
  );
  return { status: 204 };
};
