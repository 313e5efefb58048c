/** What UploadPart and UploadPartCopy share: staging and committing the bytes of one part attempt. */
import type { PartDigests } from '../crypto/parts.ts';
import type { ChecksumAlgorithm } from '../metadata/metadata.ts';
import type { BodyWriter } from '../objects/bodyWriter.ts';
import { sealPart } from '../objects/uploadParts.ts';
import type { OpenedUpload } from '../objects/uploads.ts';
import { S3Error } from './errors.ts';
import { checksumHeaderName, type RequestedChecksum } from './integrity/requestedChecksum.ts';
import type { S3Services } from './services.ts';
import { stageBody, withStoredBody } from './writeObject.ts';

/** What was received or copied: a part's plaintext size and digests. */
export interface PartBytes extends PartDigests {
  readonly size: number;
}

/**
 * Stages a part that `fill` writes (never inline, sealed if and only if the upload is encrypted) and commits it in
 * place of an earlier attempt. Nothing stays of it when `fill` or the commit fails.
 */
export async function writePart<T extends PartBytes>(
  services: S3Services,
  opened: OpenedUpload,
  part: { readonly partNumber: number; readonly plaintextSize: number },
  fill: (writer: BodyWriter) => Promise<T>,
): Promise<{ readonly bytes: T; readonly lastModifiedMs: number }> {
  const { dataKey } = opened;
  const { bucketUid, uploadId } = opened.upload;
  const { plaintextSize, partNumber } = part;
  const options = { dataKey, plaintextSize, mayInline: false };
  const { stored, received: bytes } = await stageBody(services, options, fill);
  const lastModifiedMs = services.now();
  await withStoredBody(services, stored, async () => {
    if (stored.kind !== 'blob') throw new TypeError('parts are never inline');
    const { size, md5, checksum } = bytes;
    const digests = { md5, checksum };
    const row = sealPart(opened, { partNumber, size, stored, digests, lastModifiedMs });
    await services.metadata.commitPart({ bucketUid, uploadId }, row, stored.crcs);
  });
  return { bytes, lastModifiedMs };
}

/**
 * The algorithm to compute for an uploaded part, given what its request says. FULL_OBJECT checksums are ours to
 * compute; the COMPOSITE one of an object is made of what the client said about every part.
 *
 * @throws S3Error InvalidRequest: another algorithm than the upload's, or none where one is needed
 */
export function partChecksumAlgorithm(
  { upload }: OpenedUpload,
  requested: RequestedChecksum | null,
): ChecksumAlgorithm | null {
  const { checksumAlgorithm, checksumType } = upload;
  if (checksumAlgorithm === null) return requested?.algorithm ?? null;
  const missing = requested === null && checksumType === 'COMPOSITE';
  if (missing || (requested !== null && requested.algorithm !== checksumAlgorithm)) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${checksumAlgorithm.toLowerCase()}, ` +
        `actual checksum Type: ${requested?.algorithm.toLowerCase() ?? 'null'}`,
    );
  }
  return checksumAlgorithm;
}

/** x-amz-checksum-<algorithm> of a part; its type is the upload's and is not told. */
export function partChecksumHeader(checksum: PartDigests['checksum']): Record<string, string> {
  if (checksum === null) return {};
  return { [checksumHeaderName(checksum.algorithm)]: Buffer.from(checksum.value).toString('base64') };
}
