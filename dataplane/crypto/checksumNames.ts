import type { ChecksumAlgorithm, ChecksumType } from '../metadata/metadata.ts';

const ALGORITHMS: Readonly<Record<ChecksumAlgorithm, true>> = {
  CRC32: true,
  CRC32C: true,
  CRC64NVME: true,
  SHA1: true,
  SHA256: true,
};
const TYPES: Readonly<Record<ChecksumType, true>> = { FULL_OBJECT: true, COMPOSITE: true };

/** Whether a stored name is a checksum algorithm of this format. */
export function isChecksumAlgorithm(name: string): name is ChecksumAlgorithm {
  return Object.hasOwn(ALGORITHMS, name);
}

/** Whether a stored name is a checksum type of this format. */
export function isChecksumType(name: string): name is ChecksumType {
  return Object.hasOwn(TYPES, name);
}
