import { sealUpload } from '../../objects/uploads.ts';
import { checkEncryptionHeaders, type Operation, requireBucket, requireKey } from '../context.ts';
import { XML_CONTENT } from '../exchange.ts';
import { uploadChecksum } from '../multipartChecksum.ts';
import { objectAttributes } from '../objectAttributes.ts';
import { commitSealed, newSealingKeys } from '../sealingKeys.ts';
import { encryptionHeader } from '../writeObject.ts';
import { initiateMultipartUploadXml } from '../xml/results.ts';

/** CreateMultipartUpload: from here on the upload is encrypted or plain, whatever becomes of the bucket's setting. */
export const createMultipartUpload: Operation = async (context) => {
  const { request, services } = context;
  const checksum = uploadChecksum(request.headers);
  const meta = objectAttributes(request.headers.entries);
  const key = requireKey(request);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  const { encrypted } = checkEncryptionHeaders(context, {
    operation: 'Write',
    encrypted: bucket.encryption === 'AES256',
  });
  const keys = await newSealingKeys(services, bucket, encrypted);
  const { bucketUid } = bucket;
  const { ownerId } = request.principal;
  const content = { bucketUid, key, ...checksum, ownerId, createdMs: services.now(), meta };
  const upload = await commitSealed(services, bucket, keys, async (current) => {
    const sealed = sealUpload(content, current);
    await services.metadata.createUpload(bucket.name, sealed);
    return sealed;
  });
  const { checksumAlgorithm, checksumType } = checksum;
  return {
    status: 200,
    headers: {
      ...XML_CONTENT,
      ...encryptionHeader(upload.encrypted),
      ...(checksumAlgorithm === null ? {} : { 'x-amz-checksum-algorithm': checksumAlgorithm }),
      ...(checksumType === null ? {} : { 'x-amz-checksum-type': checksumType }),
    },
    body: initiateMultipartUploadXml(bucket.name, key, upload.uploadId),
  };
};
