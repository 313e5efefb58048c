/**
 * The checksums that clients may ask for: how they are computed, combined, named in headers and compared.
 *
 * Owns algorithms and the reading of checksum headers. It must not know objects, parts or sealed digests.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { ChecksumAlgorithm } from '../../metadata/metadata.ts';
import { crc32c } from './crc32c.ts';
import { Crc64Nvme } from './crc64nvme.ts';

/** A running checksum. CRCs are big-endian, as S3 sends them. */
export interface Checksum {
  update(bytes: Uint8Array): void;
  /** Call it once, last. */
  digest(): Buffer;
}

export function createChecksum(algorithm: ChecksumAlgorithm): Checksum {
  return CREATORS[algorithm]();
}

const CREATORS: Readonly<Record<ChecksumAlgorithm, () => Checksum>> = {
  CRC32: () => crc32Checksum(crc32),
  CRC32C: () => crc32Checksum(crc32c),
  CRC64NVME: () => new Crc64Nvme(),
  SHA1: () => createHash('sha1'),
  SHA256: () => createHash('sha256'),
};

/** The COMPOSITE checksum of a multipart object, without its `-<parts>`: the checksum of the parts' digests. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, partDigests: Iterable<Uint8Array>): Buffer {
  const checksum = createChecksum(algorithm);
  for (const digest of partDigests) checksum.update(digest);
  return checksum.digest();
}

function crc32Checksum(next: (bytes: Uint8Array, crc: number) => number): Checksum {
  let crc = 0;
  return {
    update(bytes): void {
      crc = next(bytes, crc);
    },
    digest(): Buffer {
      const value = Buffer.alloc(4);
      value.writeUInt32BE(crc);
      return value;
    },
  };
}
