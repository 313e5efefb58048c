/** What a CompleteMultipartUpload says about the whole object, compared with what its parts make. */
import type { PrivateRecord } from '../crypto/record.ts';
import type { ChecksumAlgorithm } from '../metadata/metadata.ts';
import { checksumText } from './checksumHeaders.ts';
import { S3Error } from './errors.ts';
import { parseChecksumAlgorithm } from './integrity/requestedChecksum.ts';
import type { HeaderBag } from './request.ts';

/** Null where the request says nothing. */
export interface ObjectExpectations {
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly text: string } | null;
  readonly checksumType: string | null;
  readonly sizeBytes: number | null;
}

const PREFIX = 'x-amz-checksum-';

/** Reads x-amz-checksum-*, x-amz-checksum-type and x-amz-mp-object-size. @throws S3Error InvalidRequest */
export function objectExpectations(headers: HeaderBag): ObjectExpectations {
  const checksums = headers.entries.filter(
    ([name]) =>
      name.startsWith(PREFIX) && name !== 'x-amz-checksum-type' && name !== 'x-amz-checksum-algorithm',
  );
  if (checksums.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  const size = headers.get('x-amz-mp-object-size')?.trim();
  if (size !== undefined && !/^\d{1,15}$/.test(size)) {
    throw new S3Error('InvalidRequest', 'Value for x-amz-mp-object-size header is invalid.');
  }
  const [found] = checksums;
  return {
    checksum:
      found === undefined
        ? null
        : { algorithm: parseChecksumAlgorithm(found[0].slice(PREFIX.length)), text: found[1].trim() },
    checksumType: headers.get('x-amz-checksum-type')?.trim().toUpperCase() ?? null,
    sizeBytes: size === undefined ? null : Number(size),
  };
}

/**
 * Compares. A composite checksum may come with or without its `-N`.
 *
 * @throws S3Error InvalidRequest: another size, type or algorithm; BadDigest: another checksum
 */
export function requireExpected(
  expected: ObjectExpectations,
  object: {
    readonly size: number;
    readonly partCount: number;
    readonly checksum: PrivateRecord['checksums'][number] | null;
  },
): void {
  const { checksum, checksumType, sizeBytes } = expected;
  if (sizeBytes !== null && sizeBytes !== object.size) {
    throw new S3Error(
      'InvalidRequest',
      `The provided 'x-amz-mp-object-size' header value ${sizeBytes} does not match what was computed: ${object.size}`,
    );
  }
  const type = object.checksum?.type ?? null;
  if (checksumType !== null && checksumType !== type) {
    throw new S3Error(
      'InvalidRequest',
      `The upload was created using the ${type ?? 'null'} checksum mode. The complete request must use the same checksum mode.`,
    );
  }
  if (checksum === null) return;
  if (object.checksum === null || object.checksum.algorithm !== checksum.algorithm) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum Type mismatch occurred, expected checksum Type: ${object.checksum?.algorithm.toLowerCase() ?? 'null'}, ` +
        `actual checksum Type: ${checksum.algorithm.toLowerCase()}`,
    );
  }
  const computed = checksumText(object.checksum, object.partCount);
  const bare = Buffer.from(object.checksum.value).toString('base64');
  if (checksum.text !== computed && checksum.text !== bare) {
    throw new S3Error(
      'BadDigest',
      `The ${checksum.algorithm} you specified did not match the calculated checksum.`,
    );
  }
}
