import { MetadataError } from '../../metadata/metadata.ts';
import type { OpenedVersion } from '../../objects/version.ts';
import { checksumText } from '../checksumHeaders.ts';
import { evaluateWriteCondition, writeCondition } from '../conditions.ts';
import { checkEncryptionHeaders, type Operation, requireBucket, requireKey } from '../context.ts';
import { type CopiedObject, copyObjectBody } from '../copyObjectBody.ts';
import {
  checkCopyToPlain,
  copySource,
  copyTooLarge,
  type FoundSource,
  findSource,
  MAX_COPY_BYTES,
  openSource,
} from '../copySource.ts';
import { S3Error } from '../errors.ts';
import { XML_CONTENT } from '../exchange.ts';
import { parseChecksumAlgorithm } from '../integrity/requestedChecksum.ts';
import { type ObjectAttributes, objectAttributes } from '../objectAttributes.ts';
import type { HeaderBag } from '../request.ts';
import { newSealingKeys } from '../sealingKeys.ts';
import { encryptionHeader } from '../writeObject.ts';
import { copyObjectResultXml } from '../xml/results.ts';

/** How often a source that is replaced while it is copied is read anew. */
const SOURCE_CHANGED_ATTEMPTS = 8;

/** CopyObject: encrypted if and only if its bucket is, whatever the source was. */
export const copyObject: Operation = async (context) => {
  const { request, exchange, services } = context;
  const source = copySource(request.headers);
  const replaced = directive(request.headers, 'x-amz-metadata-directive', 'Unknown metadata directive.')
    ? objectAttributes(request.headers.entries)
    : null;
  // Tags are not built: there are none to keep, and x-amz-tagging was refused.
  directive(request.headers, 'x-amz-tagging-directive', 'Unknown tagging directive.');
  const algorithm = request.headers.get('x-amz-checksum-algorithm');
  const checksumAlgorithm = algorithm === undefined ? null : parseChecksumAlgorithm(algorithm);
  const condition = writeCondition(request.headers);
  const key = requireKey(request);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  let found = await findSource(context, source);
  try {
    const subject = { operation: 'Write', encrypted: bucket.encryption === 'AES256' } as const;
    const { encrypted } = checkEncryptionHeaders(context, subject);
    const itself = found.bucket.bucketUid === bucket.bucketUid && source.key.equals(key);
    checkSource(found, encrypted, itself && replaced === null);

    const copy = async (current: FoundSource): Promise<CopiedObject> => {
      checkSource(current, encrypted, itself && replaced === null);
      const keys = await newSealingKeys(services, bucket, encrypted);
      const opened = await openSource(context, current);
      return await copyObjectBody(services, {
        source: opened,
        bucket,
        key,
        keys,
        attributes: replaced ?? attributesOf(opened),
        checksumAlgorithm,
        condition,
        expectation: await evaluateWriteCondition(services, bucket, key, condition),
        signal: exchange.signal,
      });
    };
    const headers = encryptionHeader(encrypted);
    const copied = await exchange.answerSlowly(headers, async () => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await copy(found);
        } catch (error) {
          const changed = error instanceof MetadataError && error.code === 'SourceChanged';
          if (!changed || attempt === SOURCE_CHANGED_ATTEMPTS) throw error;
          const newer = await findSource(context, source);
          found.release();
          found = newer;
        }
      }
    });
    const { etag, lastModifiedMs, checksum, partCount } = copied;
    const shown = checksum === null ? null : { ...checksum, value: checksumText(checksum, partCount) };
    return {
      status: 200,
      headers: { ...XML_CONTENT, ...headers },
      body: copyObjectResultXml({ lastModifiedMs, etag: etag.slice(1, -1), checksum: shown }),
    };
  } finally {
    found.release();
  }

  function checkSource(current: FoundSource, encrypted: boolean, unchanged: boolean): void {
    checkCopyToPlain(services, current, encrypted);
    const { version } = current.pinned;
    if (version.size > MAX_COPY_BYTES) throw copyTooLarge();
    if (unchanged && (version.descriptor !== null) === encrypted) {
      throw new S3Error(
        'InvalidRequest',
        "This copy request is illegal because it is trying to copy an object to itself without changing the object's " +
          'metadata, storage class, website redirect location or encryption attributes.',
      );
    }
  }
};

function attributesOf({ record }: OpenedVersion): ObjectAttributes {
  const { contentHeaders, userMetadata } = record;
  return { contentHeaders, userMetadata };
}

/** True for REPLACE, false for COPY or none; InvalidArgument for anything else. */
function directive(headers: HeaderBag, name: string, message: string): boolean {
  const value = headers.get(name);
  if (value === undefined || value === 'COPY') return false;
  if (value === 'REPLACE') return true;
  throw new S3Error('InvalidArgument', message, { details: { ArgumentName: name, ArgumentValue: value } });
}
