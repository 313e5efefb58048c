import type { RuleSubject } from '../../headers/rules.ts';
import type { BucketDocument } from '../../metadata/metadata.ts';
import { commitUpload } from '../commitUpload.ts';
import { type CompletedObject, completedVersion, earlierObject } from '../completedUpload.ts';
import { requireAscending } from '../completeParts.ts';
import { evaluateWriteCondition, writeCondition } from '../conditions.ts';
import {
  checkEncryptionHeaders,
  type Operation,
  requireBucket,
  requireKey,
  type S3Context,
} from '../context.ts';
import { type S3Response, XML_CONTENT } from '../exchange.ts';
import { objectExpectations } from '../objectExpectations.ts';
import { objectUrl } from '../objectUrl.ts';
import { receiveDocument } from '../receiveDocument.ts';
import { noSuchUpload, openStoredUpload, uploadIdOf } from '../uploads.ts';
import { encryptionHeader } from '../writeObject.ts';
import { type CompletedPart, MAX_DOCUMENT_BYTES, parseCompleteMultipartUpload } from '../xml/requests.ts';
import { completeMultipartUploadXml } from '../xml/results.ts';

/**
 * CompleteMultipartUpload: verifies the listed parts and makes them an object; no part is read or rewritten. Repeated
 * after it succeeded it says the same again, as long as that object is current.
 */
export const completeMultipartUpload: Operation = async (context) => {
  const { request, exchange, services } = context;
  const condition = writeCondition(request.headers);
  const expected = objectExpectations(request.headers);
  const key = requireKey(request);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const uploadId = uploadIdOf(request.query);
  const upload = await services.metadata.upload(bucket.bucketUid, key, uploadId);
  if (upload === null) return await repeat(context, bucket);

  const subject = { operation: 'FinishUpload', encrypted: upload.encrypted } as const;
  checkEncryptionHeaders(context, subject);
  // Without its key nothing of the upload can be used: said before anything else is looked at.
  await openStoredUpload(services, upload, 'read');
  const evaluate = () => evaluateWriteCondition(services, bucket, key, condition);
  const expectation = await evaluate();
  const listed = await listedParts(context, subject);
  const headers = encryptionHeader(upload.encrypted);
  const completed = await exchange.answerSlowly(headers, async () => {
    const committed = await commitUpload(services, {
      bucket,
      upload,
      listed,
      expected,
      expectation,
      evaluate,
    });
    // Ended meanwhile, perhaps by another Complete of the same parts.
    return committed ?? (await earlierObject(services, bucket, key, uploadId, listed));
  });
  if (completed === null) throw noSuchUpload(request.query);
  return answer(context, upload.encrypted, completed);
};

/** The upload has ended: by a Complete that is now repeated, or by an Abort. */
async function repeat(context: S3Context, bucket: BucketDocument): Promise<S3Response> {
  const { request, services } = context;
  const key = requireKey(request);
  const uploadId = uploadIdOf(request.query);
  const pinned = await completedVersion(services, bucket, key, uploadId);
  if (pinned === null) throw noSuchUpload(request.query);
  pinned.release();
  const encrypted = pinned.version.descriptor !== null;
  const subject = { operation: 'FinishUpload', encrypted } as const;
  checkEncryptionHeaders(context, subject);
  const listed = await listedParts(context, subject);
  const completed = await earlierObject(services, bucket, key, uploadId, listed);
  if (completed === null) throw noSuchUpload(request.query);
  return answer(context, encrypted, completed);
}

async function listedParts(context: S3Context, subject: RuleSubject): Promise<readonly CompletedPart[]> {
  const { bytes } = await receiveDocument(context, {
    maxBytes: MAX_DOCUMENT_BYTES.CompleteMultipartUpload,
    required: false,
    subject,
    checksumsElsewhere: true,
  });
  const listed = parseCompleteMultipartUpload(bytes);
  requireAscending(listed);
  return listed;
}

function answer(
  { request, exchange }: S3Context,
  encrypted: boolean,
  completed: CompletedObject,
): S3Response {
  return {
    status: 200,
    headers: { ...XML_CONTENT, ...encryptionHeader(encrypted) },
    body: completeMultipartUploadXml({
      location: objectUrl(exchange.req, request.rawPath),
      bucket: request.bucket ?? '',
      key: requireKey(request),
      ...completed,
    }),
  };
}
