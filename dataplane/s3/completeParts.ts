/** Compares the parts that a CompleteMultipartUpload lists with those that were uploaded, and joins them. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ObjectChecksum } from '../crypto/record.ts';
import type { Metadata, UploadPart } from '../metadata/metadata.ts';
import { type AssembledBody, PartAssembly } from '../objects/partAssembly.ts';
import { openPart } from '../objects/uploadParts.ts';
import type { OpenedUpload } from '../objects/uploads.ts';
import { etagText } from '../objects/version.ts';
import { S3Error } from './errors.ts';
import { MultipartChecksum } from './multipartChecksum.ts';
import type { CompletedPart } from './xml/requests.ts';

/** 5 MiB: the least that a part other than the last may have. */
const MIN_PART_BYTES = 5 * 1024 ** 2;
/** 50 TiB */
const MAX_OBJECT_BYTES = 50 * 1024 ** 4;
/** Parts are read, verified and lined up so many at a time; other requests have their turn in between. */
const PARTS_PER_TURN = 256;

/** The object that an upload's parts make. */
export interface JoinedParts extends AssembledBody {
  readonly checksum: ObjectChecksum | null;
}

/** @throws S3Error InvalidPartOrder unless the part numbers ascend, each once */
export function requireAscending(listed: readonly CompletedPart[]): void {
  let last = 0;
  for (const { partNumber } of listed) {
    if (partNumber <= last) throw new S3Error('InvalidPartOrder');
    last = partNumber;
  }
}

/**
 * Joins the listed parts (ascending), each verified. Rejects with InvalidPart, EntityTooSmall, EntityTooLarge,
 * InvalidRequest (COMPOSITE without a part's checksum); FormatError when a stored part does not verify.
 */
export async function joinParts(
  metadata: Pick<Metadata, 'uploadParts'>,
  opened: OpenedUpload,
  listed: readonly CompletedPart[],
): Promise<JoinedParts> {
  const { uploadId, checksumAlgorithm, checksumType } = opened.upload;
  const assembly = new PartAssembly(opened);
  const checksum =
    checksumAlgorithm === null || checksumType === null
      ? null
      : new MultipartChecksum(checksumAlgorithm, checksumType);
  let tooSmall: { readonly part: UploadPart; readonly etag: string } | null = null;
  let page: readonly UploadPart[] = [];
  let at = 0;
  for (const [index, wanted] of listed.entries()) {
    while (page[at] !== undefined && (page[at]?.partNumber ?? 0) < wanted.partNumber) at += 1;
    if (page[at] === undefined) {
      await nextTurn();
      page = await metadata.uploadParts(uploadId, wanted.partNumber - 1, PARTS_PER_TURN);
      at = 0;
    }
    const part = page[at];
    if (part === undefined || part.partNumber !== wanted.partNumber) throw invalidPart(uploadId, wanted);
    const digests = openPart(opened, part);
    const etag = etagText(digests.md5, 0);
    if (etag !== wanted.etag.toLowerCase()) throw invalidPart(uploadId, wanted);
    for (const { algorithm, value } of wanted.checksums) {
      const known = digests.checksum?.algorithm === algorithm ? digests.checksum.value : null;
      if (known === null || !value.equals(known)) throw invalidPart(uploadId, wanted);
    }
    if (checksum !== null) {
      if (checksumType === 'COMPOSITE' && wanted.checksums.length === 0) {
        throw missingChecksum(checksumAlgorithm ?? '', wanted.partNumber);
      }
      if (digests.checksum === null) throw invalidPart(uploadId, wanted);
      checksum.add({ value: digests.checksum.value, size: part.size });
    }
    if (part.size < MIN_PART_BYTES && index < listed.length - 1) tooSmall ??= { part, etag };
    assembly.add(part, digests.md5);
  }
  if (tooSmall !== null) {
    throw new S3Error('EntityTooSmall', undefined, {
      details: {
        ETag: tooSmall.etag,
        MinSizeAllowed: String(MIN_PART_BYTES),
        ProposedSize: String(tooSmall.part.size),
        PartNumber: String(tooSmall.part.partNumber),
      },
    });
  }
  const body = assembly.finish();
  if (body.size > MAX_OBJECT_BYTES) throw new S3Error('EntityTooLarge');
  return { ...body, checksum: checksum?.finish() ?? null };
}

function invalidPart(uploadId: string, { partNumber, etag }: CompletedPart): S3Error {
  const details = { UploadId: uploadId, PartNumber: String(partNumber), ETag: etag };
  return new S3Error('InvalidPart', undefined, { details });
}

function missingChecksum(algorithm: string, partNumber: number): S3Error {
  return new S3Error(
    'InvalidRequest',
    `The upload was created using a ${algorithm.toLowerCase()} checksum. The complete request must include the ` +
      `checksum for each part. It was missing for part ${partNumber} in the request.`,
  );
}
