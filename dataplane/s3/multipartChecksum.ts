/** The checksum of a multipart object: which kinds there are, and how the parts' values become the whole's. */
import type { PrivateRecord } from '../crypto/record.ts';
import type { ChecksumAlgorithm, ChecksumType } from '../metadata/metadata.ts';
import { S3Error } from './errors.ts';
import { compositeChecksum } from './integrity/checksums.ts';
import { combineCrc } from './integrity/combineCrc.ts';
import { parseChecksumAlgorithm } from './integrity/requestedChecksum.ts';
import type { HeaderBag } from './request.ts';

/** What CreateMultipartUpload says of the checksums to come; both null: nothing. */
export interface UploadChecksum {
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly checksumType: ChecksumType | null;
}

/**
 * Reads x-amz-checksum-algorithm and -type of CreateMultipartUpload. CRC64NVME is always FULL_OBJECT, the hashes are
 * always COMPOSITE, CRC32 and CRC32C are COMPOSITE unless asked otherwise.
 *
 * @throws S3Error InvalidRequest
 */
export function uploadChecksum(headers: HeaderBag): UploadChecksum {
  const algorithmName = headers.get('x-amz-checksum-algorithm');
  const typeName = headers.get('x-amz-checksum-type')?.toUpperCase();
  if (algorithmName === undefined) {
    if (typeName === undefined) return { checksumAlgorithm: null, checksumType: null };
    throw new S3Error(
      'InvalidRequest',
      'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    );
  }
  const checksumAlgorithm = parseChecksumAlgorithm(algorithmName);
  const fallback = checksumAlgorithm === 'CRC64NVME' ? 'FULL_OBJECT' : 'COMPOSITE';
  const checksumType = typeName ?? fallback;
  if (checksumType !== 'FULL_OBJECT' && checksumType !== 'COMPOSITE') {
    throw new S3Error('InvalidRequest', 'Value for x-amz-checksum-type header is invalid.');
  }
  const onlyComposite = checksumAlgorithm === 'SHA1' || checksumAlgorithm === 'SHA256';
  if (
    (checksumType === 'FULL_OBJECT' && onlyComposite) ||
    (checksumType === 'COMPOSITE' && checksumAlgorithm === 'CRC64NVME')
  ) {
    throw new S3Error(
      'InvalidRequest',
      `The ${checksumType} checksum type cannot be used with the ${checksumAlgorithm.toLowerCase()} checksum algorithm.`,
    );
  }
  return { checksumAlgorithm, checksumType };
}

interface PartChecksum {
  readonly value: Uint8Array;
  /** Plaintext bytes of the part. */
  readonly size: number;
}

/** Puts the checksum of the whole object together from those of its parts, in order. */
export class MultipartChecksum {
  readonly #algorithm: ChecksumAlgorithm;
  readonly #type: ChecksumType;
  readonly #values: Uint8Array[] = [];
  #whole: Uint8Array | null = null;

  constructor(algorithm: ChecksumAlgorithm, type: ChecksumType) {
    this.#algorithm = algorithm;
    this.#type = type;
  }

  add(part: PartChecksum): void {
    const { value, size } = part;
    const algorithm = this.#algorithm;
    if (this.#type === 'COMPOSITE' || algorithm === 'SHA1' || algorithm === 'SHA256')
      this.#values.push(value);
    else this.#whole = this.#whole === null ? value : combineCrc(algorithm, this.#whole, value, size);
  }

  /** Call it once, after at least one part. */
  finish(): PrivateRecord['checksums'][number] {
    const algorithm = this.#algorithm;
    const value = this.#whole ?? compositeChecksum(algorithm, this.#values);
    return { algorithm, type: this.#type, value };
  }
}
