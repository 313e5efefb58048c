import { authenticatePost } from '../../auth/authenticatePost.ts';
import {
  type CarriedHeader,
  collectEncryptionHeaders,
  type EncryptionHeaders,
  withTrailers,
} from '../../headers/rules.ts';
import { authorize } from '../authorize.ts';
import { checksumHeaders } from '../checksumHeaders.ts';
import { evaluateWriteCondition, writeCondition } from '../conditions.ts';
import { checkEncryptionHeaders, type PostContext, requireBucket } from '../context.ts';
import { S3Error } from '../errors.ts';
import { type S3Response, XML_CONTENT } from '../exchange.ts';
import { type FormField, FormReader } from '../form/formReader.ts';
import { boundaryOf } from '../form/partHead.ts';
import { type PostSuccess, postFields, postKey, postSuccess } from '../form/postFields.ts';
import { receiveFile } from '../form/receiveFile.ts';
import { objectAttributes } from '../objectAttributes.ts';
import { objectUrl, urlPathOfKey } from '../objectUrl.ts';
import { contentLength, MAX_PUT_BYTES } from '../requestBody.ts';
import { newSealingKeys } from '../sealingKeys.ts';
import { checkExpectedBucketOwner, refuseUnbuiltHeaders } from '../unbuiltHeaders.ts';
import { commitObject, encryptionHeader, stageBody, writerOptions } from '../writeObject.ts';
import { postResponseXml } from '../xml/results.ts';

/** What a form may have besides its file, generously. */
const FORM_OVERHEAD_BYTES = 1024 * 1024;

/**
 * POST object: a browser's form, signed by its policy. The fields say what headers say elsewhere; those of encryption
 * count behind the file too, and then nothing of what was staged is left when the refusal goes out.
 */
export async function postObject(context: PostContext): Promise<S3Response> {
  const { request, exchange, services } = context;
  const length = contentLength(request.headers);
  if (length === null) throw new S3Error('MissingContentLength');
  if (length > MAX_PUT_BYTES + FORM_OVERHEAD_BYTES) throw new S3Error('EntityTooLarge');
  const boundary = boundaryOf(request.headers.get('content-type'));
  const condition = writeCondition(request.headers);
  // Refused before the body is read: what no bucket accepts. AES256 is judged once the bucket is known.
  checkEncryptionHeaders(context, { operation: 'Write', encrypted: true });
  const reader = new FormReader(exchange, boundary);
  try {
    const { fields, file } = await reader.start();
    const form = postFields(fields, file?.filename ?? '');
    const { principal, contentLengthRange } = authenticatePost(
      form.texts,
      request.bucket ?? '',
      context.authentication,
    );
    for (const carried of [request.headers, request.query, form.headers]) {
      checkExpectedBucketOwner(carried, principal.ownerId);
    }
    if (file === null) throw fileMissing();
    const key = postKey(form);
    authorize(principal, { ...request, key });
    refuseUnbuiltHeaders(request.operation, form.headers);
    const attributes = objectAttributes(form.headers.entries);
    const bucket = await requireBucket(services, principal, request.bucket);
    const subject = { operation: 'Write', encrypted: bucket.encryption === 'AES256' } as const;
    const before = withFields(request.encryption, fields);
    const { encrypted } = checkEncryptionHeaders(context, subject, before);
    const keys = await newSealingKeys(services, bucket, encrypted);
    const expectation = await evaluateWriteCondition(services, bucket, key, condition);

    const { stored, received } = await stageBody(services, writerOptions(keys, null), async (writer) => {
      const receivedFile = await receiveFile(file, writer, form.headers, contentLengthRange);
      const all = withFields(withTrailers(before, []), await reader.rest());
      checkEncryptionHeaders(context, subject, all);
      return receivedFile;
    });
    const { etag } = await commitObject(services, {
      bucket,
      key,
      keys,
      stored,
      received,
      attributes,
      condition,
      expectation,
    });
    const { checksum } = received;
    const path = `${request.rawPath.replace(/\/$/, '')}/${urlPathOfKey(key)}`;
    const object = { location: objectUrl(exchange.req, path), bucket: bucket.name, key, etag };
    return answer(postSuccess(form), object, {
      ...encryptionHeader(keys !== null),
      ...checksumHeaders(checksum === null ? [] : [{ ...checksum, type: 'FULL_OBJECT' }]),
    });
  } finally {
    reader.close();
  }
}

/** Fields of a form are carriers like any other. */
function withFields(headers: EncryptionHeaders, fields: readonly FormField[]): EncryptionHeaders {
  const carried = fields.map(({ name, value }): CarriedHeader => {
    return { name, value: value.toString('utf8'), carrier: 'form' };
  });
  return collectEncryptionHeaders([...headers.entries, ...carried]);
}

interface PostedObject {
  readonly location: string;
  readonly bucket: string;
  readonly key: Buffer;
  /** In quotes. */
  readonly etag: string;
}

function answer(
  success: PostSuccess,
  object: PostedObject,
  further: Readonly<Record<string, string>>,
): S3Response {
  const { location, etag } = object;
  if (success.kind === 'redirect') {
    const url = new URL(success.url);
    url.searchParams.append('bucket', object.bucket);
    url.searchParams.append('key', object.key.toString('utf8'));
    url.searchParams.append('etag', etag);
    return { status: 303, headers: { ...further, etag, location: url.href } };
  }
  const headers = { ...further, etag, location };
  if (success.status !== 201) return { status: success.status, headers };
  const body = postResponseXml({ ...object, etag: etag.slice(1, -1) });
  return { status: 201, headers: { ...XML_CONTENT, ...headers }, body };
}

function fileMissing(): S3Error {
  return new S3Error('InvalidArgument', 'POST requires exactly one file upload per request.', {
    details: { ArgumentName: 'file', ArgumentValue: '0' },
  });
}
