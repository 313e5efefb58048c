import { withTrailers } from '../../headers/rules.ts';
import { receiveBody } from '../body/receive.ts';
import { checksumHeaders } from '../checksumHeaders.ts';
import { evaluateWriteCondition, writeCondition } from '../conditions.ts';
import { checkEncryptionHeaders, type Operation, requireBucket, requireKey } from '../context.ts';
import { objectAttributes } from '../objectAttributes.ts';
import { objectBody } from '../requestBody.ts';
import { newSealingKeys } from '../sealingKeys.ts';
import { commitObject, encryptionHeader, stageBody, writerOptions } from '../writeObject.ts';

/** PutObject: one body, sealed when the bucket is encrypted. */
export const putObject: Operation = async (context) => {
  const { request, exchange, services } = context;
  const attributes = objectAttributes(request.headers.entries);
  const condition = writeCondition(request.headers);
  const key = requireKey(request);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const subject = { operation: 'Write', encrypted: bucket.encryption === 'AES256' } as const;
  const { encrypted } = checkEncryptionHeaders(context, subject);
  // After the header rules: what is wrong with a checksum must not hide a refused encryption trailer.
  const body = objectBody(request);
  const keys = await newSealingKeys(services, bucket, encrypted);
  const expectation = await evaluateWriteCondition(services, bucket, key, condition);

  const { stored, received } = await stageBody(services, writerOptions(keys, body.size), async (writer) => {
    const received = await receiveBody(exchange, writer, body);
    checkEncryptionHeaders(context, subject, withTrailers(request.encryption, received.trailers));
    return received;
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
  return {
    status: 200,
    headers: {
      etag,
      ...encryptionHeader(keys !== null),
      ...checksumHeaders(received.checksum === null ? [] : [{ ...received.checksum, type: 'FULL_OBJECT' }]),
    },
  };
};
