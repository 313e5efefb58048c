/** The rule of PutBucketEncryption: `AES256` and nothing else turns bucket encryption on. */
import { S3Error } from '../s3/errors.ts';
import { childText, onlyChild, parseBoolean, parseXml, requireShape } from '../s3/xml/reader.ts';
import { MAX_DOCUMENT_BYTES } from '../s3/xml/requests.ts';
import { REFUSAL_MESSAGE } from './rules.ts';

/**
 * Accepts the document `ServerSideEncryptionConfiguration` if it asks for AES256, the one method there is.
 *
 * @returns the method that the bucket's objects are encrypted with from now on
 * @throws S3Error InvalidArgument: another method, a KMS key or a bucket key; NotImplemented: blocked encryption
 *   types; MalformedXML: anything but one well-formed rule; MaxMessageLengthExceeded
 */
export function parseBucketEncryption(body: Uint8Array): 'AES256' {
  const maxBytes = MAX_DOCUMENT_BYTES.PutBucketEncryption;
  const root = parseXml(body, { maxBytes, maxElements: 64, maxDepth: 5 });
  if (root.name !== 'ServerSideEncryptionConfiguration') throw new S3Error('MalformedXML');
  requireShape(root, ['Rule']);
  const rule = onlyChild(root, 'Rule');
  if (rule === null) throw new S3Error('MalformedXML');
  requireShape(rule, ['ApplyServerSideEncryptionByDefault', 'BucketKeyEnabled', 'BlockedEncryptionTypes']);
  if (onlyChild(rule, 'BlockedEncryptionTypes') !== null) throw new S3Error('NotImplemented');
  const byDefault = onlyChild(rule, 'ApplyServerSideEncryptionByDefault');
  if (byDefault === null) throw new S3Error('MalformedXML');
  requireShape(byDefault, ['SSEAlgorithm', 'KMSMasterKeyID']);
  const algorithm = childText(byDefault, 'SSEAlgorithm');
  if (algorithm === null) throw new S3Error('MalformedXML');
  const bucketKey = parseBoolean(childText(rule, 'BucketKeyEnabled'));
  if (algorithm !== 'AES256') throw refusal('SSEAlgorithm', algorithm);
  const kmsKey = childText(byDefault, 'KMSMasterKeyID');
  if (kmsKey !== null) throw refusal('KMSMasterKeyID', kmsKey);
  if (bucketKey === true) throw refusal('BucketKeyEnabled', 'true');
  return algorithm;
}

function refusal(name: string, value: string): S3Error {
  return new S3Error('InvalidArgument', REFUSAL_MESSAGE, {
    details: { ArgumentName: name, ArgumentValue: value },
  });
}
