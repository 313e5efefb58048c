/** How checksums are spelled in documents, the same for requests and answers: `Checksum` and the algorithm. */
import type { ChecksumAlgorithm, ChecksumType } from '../../metadata/metadata.ts';
import type { XmlNode } from './writer.ts';

/** A checksum as clients see it. */
export interface ShownChecksum {
  readonly algorithm: ChecksumAlgorithm;
  /** null where the document does not tell the type: parts. */
  readonly type: ChecksumType | null;
  /** Base64; a composite one ends in `-N`. */
  readonly value: string;
}

export const CHECKSUM_ALGORITHMS: readonly ChecksumAlgorithm[] = [
  'CRC32',
  'CRC32C',
  'CRC64NVME',
  'SHA1',
  'SHA256',
];

/** The name of the element that holds such a checksum. */
export function checksumElement(algorithm: ChecksumAlgorithm): string {
  return `Checksum${algorithm}`;
}

/** The elements of a checksum, or of none. */
export function checksumNodes(checksum: ShownChecksum | null): XmlNode[] {
  if (checksum === null) return [];
  return [
    [checksumElement(checksum.algorithm), checksum.value],
    checksum.type === null ? null : ['ChecksumType', checksum.type],
  ];
}
