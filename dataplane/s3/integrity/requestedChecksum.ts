import { isEncryptionHeader } from '../../headers/rules.ts';
import type { ChecksumAlgorithm } from '../../metadata/metadata.ts';
import { S3Error } from '../errors.ts';
import type { HeaderBag } from '../request.ts';
import { decodeBase64 } from './base64.ts';

/** What a request says about the checksum of its body. */
export interface RequestedChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** null while it is still to come, in the trailer. */
  readonly expected: Buffer | null;
  readonly inTrailer: boolean;
}

const SIZES_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
};
const PREFIX = 'x-amz-checksum-';
/** Names that begin like a checksum but are none. */
const NOT_CHECKSUMS: ReadonlySet<string> = new Set([
  'x-amz-checksum-algorithm',
  'x-amz-checksum-mode',
  'x-amz-checksum-type',
]);

/** `x-amz-checksum-crc32` and the like. */
export function checksumHeaderName(algorithm: ChecksumAlgorithm): string {
  return PREFIX + algorithm.toLowerCase();
}

/**
 * An algorithm as x-amz-checksum-algorithm and x-amz-sdk-checksum-algorithm name it, in any letter case.
 * @throws S3Error InvalidRequest for one that we do not have.
 */
export function parseChecksumAlgorithm(name: string): ChecksumAlgorithm {
  const algorithm = findAlgorithm(name);
  if (algorithm !== null) return algorithm;
  throw new S3Error(
    'InvalidRequest',
    `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${Object.keys(SIZES_BYTES).join(', ')}]`,
  );
}

/**
 * Lower-case names of the trailers that x-amz-trailer announces and that must come. Those of encryption are left to
 * the header rules, which take one that never comes for an empty one.
 */
export function announcedTrailers(headers: HeaderBag): string[] {
  return headers
    .all('x-amz-trailer')
    .flatMap((value) => value.split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '' && !isEncryptionHeader(name));
}

/**
 * The checksum that came with a request in its headers or is announced for its trailer; null: none. Only headers
 * count: clients leave the checksum of an empty body in presigned queries. Call it after the header rules.
 * Source: S3 user guide, "Checking object integrity".
 * @throws S3Error InvalidRequest: two of them, an unknown one, a value that is not base64 of the right length, or
 * x-amz-sdk-checksum-algorithm that does not fit.
 */
export function requestedChecksum(headers: HeaderBag): RequestedChecksum | null {
  const inHeaders = headers.entries.filter(([name]) => name.startsWith(PREFIX) && !NOT_CHECKSUMS.has(name));
  const trailers = announcedTrailers(headers);
  if (trailers.some((name) => trailerAlgorithm(name) === null)) {
    throw new S3Error('InvalidRequest', 'The value specified in the x-amz-trailer header is not supported');
  }
  if (inHeaders.length + trailers.length > 1) {
    throw new S3Error(
      'InvalidRequest',
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  const requested = fromHeader(inHeaders[0]) ?? fromTrailer(trailers[0]);
  checkSdkAlgorithm(headers, requested);
  return requested;
}

/**
 * The value of the announced checksum among the trailers that arrived.
 * @throws S3Error MalformedTrailerError unless it came exactly once, InvalidRequest for a malformed value.
 */
export function trailerChecksum(
  algorithm: ChecksumAlgorithm,
  trailers: readonly (readonly [string, string])[],
): Buffer {
  const name = checksumHeaderName(algorithm);
  const values = trailers.filter((trailer) => trailer[0] === name);
  const [value] = values;
  if (value === undefined || values.length > 1) throw new S3Error('MalformedTrailerError');
  const checksum = decodeBase64(value[1], SIZES_BYTES[algorithm]);
  if (checksum !== null) return checksum;
  throw new S3Error('InvalidRequest', `Value for ${name} trailing header is invalid.`);
}

function fromHeader(header: readonly [string, string] | undefined): RequestedChecksum | null {
  if (header === undefined) return null;
  const [name, value] = header;
  const algorithm = findAlgorithm(name.slice(PREFIX.length));
  if (algorithm === null) {
    throw new S3Error(
      'InvalidRequest',
      'The algorithm type you specified in x-amz-checksum- header is invalid.',
    );
  }
  const expected = decodeBase64(value, SIZES_BYTES[algorithm]);
  if (expected === null) throw new S3Error('InvalidRequest', `Value for ${name} header is invalid.`);
  return { algorithm, expected, inTrailer: false };
}

function fromTrailer(name: string | undefined): RequestedChecksum | null {
  const algorithm = name === undefined ? null : trailerAlgorithm(name);
  return algorithm === null ? null : { algorithm, expected: null, inTrailer: true };
}

function trailerAlgorithm(name: string): ChecksumAlgorithm | null {
  return name.startsWith(PREFIX) ? findAlgorithm(name.slice(PREFIX.length)) : null;
}

function checkSdkAlgorithm(headers: HeaderBag, requested: RequestedChecksum | null): void {
  const name = headers.get('x-amz-sdk-checksum-algorithm');
  if (name === undefined) return;
  const algorithm = parseChecksumAlgorithm(name);
  if (requested === null) {
    throw new S3Error(
      'InvalidRequest',
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    );
  }
  if (requested.algorithm !== algorithm) {
    throw new S3Error('InvalidRequest', 'Value for x-amz-sdk-checksum-algorithm header is invalid.');
  }
}

function findAlgorithm(name: string): ChecksumAlgorithm | null {
  const folded = name.toUpperCase();
  switch (folded) {
    case 'CRC32':
    case 'CRC32C':
    case 'CRC64NVME':
    case 'SHA1':
    case 'SHA256':
      return folded;
    default:
      return null;
  }
}
