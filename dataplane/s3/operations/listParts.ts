import { openPart } from '../../objects/uploadParts.ts';
import { etagText } from '../../objects/version.ts';
import { checkEncryptionHeaders, type Operation } from '../context.ts';
import { XML_CONTENT } from '../exchange.ts';
import { numberParameter, pageLimit } from '../paging.ts';
import { openStoredUpload, requireUpload } from '../uploads.ts';
import { listPartsXml } from '../xml/listings.ts';

const MAX_PARTS = 1000;

/** ListParts: what was uploaded so far, by part number, in pages. ETags are sealed, so it needs the key. */
export const listParts: Operation = async (context) => {
  const { request, services } = context;
  const { query } = request;
  const maxParts = pageLimit(query, 'max-parts', MAX_PARTS);
  const partNumberMarker = numberParameter(query, 'part-number-marker', 0);
  const { bucket, upload } = await requireUpload(context);
  checkEncryptionHeaders(context, { operation: 'Other', encrypted: bucket.encryption === 'AES256' });
  const opened = await openStoredUpload(services, upload, 'read');
  const found =
    maxParts === 0
      ? []
      : await services.metadata.uploadParts(upload.uploadId, partNumberMarker, maxParts + 1);
  const page = found.slice(0, maxParts);
  const isTruncated = found.length > page.length;
  const body = listPartsXml({
    bucket: bucket.name,
    key: upload.key,
    uploadId: upload.uploadId,
    ownerId: upload.ownerId,
    checksumAlgorithm: upload.checksumAlgorithm,
    checksumType: upload.checksumType,
    partNumberMarker,
    nextPartNumberMarker: page.at(-1)?.partNumber ?? null,
    maxParts,
    isTruncated,
    parts: page.map((part) => {
      const { md5, checksum } = openPart(opened, part);
      return {
        partNumber: part.partNumber,
        lastModifiedMs: part.lastModifiedMs,
        etag: etagText(md5, 0),
        sizeBytes: part.size,
        checksum:
          checksum === null
            ? null
            : {
                algorithm: checksum.algorithm,
                type: null,
                value: Buffer.from(checksum.value).toString('base64'),
              },
      };
    }),
  });
  return { status: 200, headers: XML_CONTENT, body };
};
