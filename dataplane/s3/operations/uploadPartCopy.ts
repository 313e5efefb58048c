import { etagText } from '../../objects/version.ts';
import { checkEncryptionHeaders, type Operation } from '../context.ts';
import { copyBody } from '../copyBody.ts';
import {
  checkCopyToPlain,
  copySource,
  copyTooLarge,
  findSource,
  MAX_COPY_BYTES,
  openSource,
} from '../copySource.ts';
import { S3Error } from '../errors.ts';
import { XML_CONTENT } from '../exchange.ts';
import type { ByteRange } from '../ranges.ts';
import { openStoredUpload, partNumberOf, requireUpload } from '../uploads.ts';
import { encryptionHeader } from '../writeObject.ts';
import { writePart } from '../writePart.ts';
import { copyPartResultXml } from '../xml/results.ts';

const RANGE_HEADER = 'x-amz-copy-source-range';

/** UploadPartCopy: a part from an object or a range of one; always through the cipher, for parts share no body. */
export const uploadPartCopy: Operation = async (context) => {
  const { request, exchange, services } = context;
  const partNumber = partNumberOf(request.query);
  const source = copySource(request.headers);
  const { upload } = await requireUpload(context);
  const found = await findSource(context, source);
  try {
    const subject = { operation: 'Write', encrypted: upload.encrypted } as const;
    checkEncryptionHeaders(context, subject);
    checkCopyToPlain(services, found, upload.encrypted);
    const opened = await openStoredUpload(services, upload, 'write');
    const sourceVersion = await openSource(context, found);
    const { size } = sourceVersion.version;
    const { first, last } = sourceRange(request.headers.get(RANGE_HEADER), size);
    const plaintextSize = last - first + 1;
    if (plaintextSize > MAX_COPY_BYTES) throw copyTooLarge();
    const headers = encryptionHeader(upload.encrypted);
    const { checksumAlgorithm } = upload;
    const { bytes, lastModifiedMs } = await exchange.answerSlowly(headers, () =>
      writePart(services, opened, { partNumber, plaintextSize }, (writer) =>
        copyBody(
          services,
          sourceVersion,
          { first, last, checksumAlgorithm, signal: exchange.signal },
          writer,
        ),
      ),
    );
    const { md5, checksum } = bytes;
    const shown =
      checksum === null
        ? null
        : {
            algorithm: checksum.algorithm,
            type: null,
            value: Buffer.from(checksum.value).toString('base64'),
          };
    return {
      status: 200,
      headers: { ...XML_CONTENT, ...headers },
      body: copyPartResultXml({ lastModifiedMs, etag: etagText(md5, 0), checksum: shown }),
    };
  } finally {
    found.release();
  }
};

/** `bytes=first-last`, both needed and both inside the source. InvalidArgument otherwise, as S3. */
function sourceRange(header: string | undefined, sizeBytes: number): ByteRange {
  if (header === undefined) return { first: 0, last: sizeBytes - 1 };
  const match = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(header.trim());
  const details = { ArgumentName: RANGE_HEADER, ArgumentValue: header };
  if (match === null) {
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the ' +
        'zero-based offsets of the first and last bytes to copy',
      { details },
    );
  }
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (first <= last && last < sizeBytes) return { first, last };
  throw new S3Error(
    'InvalidArgument',
    `Range specified is not valid for source object of size: ${sizeBytes}`,
    { details },
  );
}
