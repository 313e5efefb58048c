import type { KeyObject } from 'node:crypto';
import type { ChecksumAlgorithm, ChecksumType, Id } from '../metadata/metadata.ts';
import { isChecksumAlgorithm, isChecksumType } from './checksumNames.ts';
import { Decoder, enc } from './encoding.ts';
import { encodeStored, FormatError } from './errors.ts';
import { type RandomSource, systemRandom } from './random.ts';
import { newSalt, openOnce, sealOnce } from './sealing.ts';

const LABEL = 'sealgate/v1/record';
const MD5_BYTES = 16;

/** What a record authenticates in clear: the row's own columns. */
export interface PublicRecord {
  readonly format: 1;
  readonly suite: number;
  readonly chunkLog2: number;
  readonly bucketUid: Id;
  readonly objectKey: Uint8Array;
  readonly versionId: Id;
  readonly isNull: boolean;
  readonly lastModifiedMs: number;
  readonly bodyId: Id;
  /** Plaintext bytes. */
  readonly size: number;
  /** 0 = one blob, >= 1 = pages of parts. */
  readonly partCount: number;
  /** The one blob ('inline' for a body in the metadata), or null where there are pages. */
  readonly blob: { readonly blobId: string; readonly size: number; readonly salt: Uint8Array } | null;
}

export interface ObjectChecksum {
  readonly algorithm: ChecksumAlgorithm;
  readonly type: ChecksumType;
  readonly value: Uint8Array;
}

/** What tells about the content, and is therefore encrypted. */
export interface PrivateRecord {
  /** 16 bytes: of the body, or of the parts' MD5s in order. */
  readonly md5: Uint8Array;
  readonly checksums: readonly ObjectChecksum[];
  /** Lower-case names. */
  readonly contentHeaders: ReadonlyMap<string, string>;
  /** Lower-case names without "x-amz-meta-". */
  readonly userMetadata: ReadonlyMap<string, string>;
}

export interface SealedRecord {
  readonly recordSalt: Buffer;
  readonly sealedRecord: Buffer;
}

/** Seals the private part and binds the public part to it, under a fresh salt (format: Object record). */
export function sealRecord(
  dataKey: KeyObject,
  pub: PublicRecord,
  priv: PrivateRecord,
  random: RandomSource = systemRandom,
): SealedRecord {
  const recordSalt = newSalt(random);
  const sealedRecord = sealOnce(
    dataKey,
    LABEL,
    recordSalt,
    encodePrivate(priv),
    encodePublic(pub, recordSalt),
  );
  return { recordSalt, sealedRecord };
}

/** Opens a record. FormatError 'Integrity' when it, or anything public that it covers, was altered. */
export function openRecord(
  dataKey: KeyObject,
  pub: PublicRecord,
  sealed: { readonly recordSalt: Uint8Array; readonly sealedRecord: Uint8Array },
): PrivateRecord {
  const aad = encodeStored('object record', () => encodePublic(pub, sealed.recordSalt));
  return decodePrivate(
    openOnce('object record', dataKey, LABEL, sealed.recordSalt, sealed.sealedRecord, aad),
  );
}

/** enc(private); plain objects keep it in clear. */
export function encodePrivate(priv: PrivateRecord): Buffer {
  if (priv.md5.length !== MD5_BYTES) throw new FormatError('Malformed', 'an MD5 has 16 bytes');
  return enc([
    priv.md5,
    priv.checksums.map(({ algorithm, type, value }) => [algorithm, type, value]),
    priv.contentHeaders,
    priv.userMetadata,
  ]);
}

/** Reads enc(private) back. FormatError 'Malformed' for anything that encodePrivate() does not write. */
export function decodePrivate(bytes: Uint8Array): PrivateRecord {
  const decoder = new Decoder(bytes);
  const md5 = decoder.bytes();
  if (md5.length !== MD5_BYTES) throw new FormatError('Malformed', 'an MD5 has 16 bytes');
  const checksums = decoder.list((entry) => {
    const algorithm = entry.text();
    const type = entry.text();
    if (!isChecksumAlgorithm(algorithm)) throw new FormatError('Malformed', 'unknown checksum algorithm');
    if (!isChecksumType(type)) throw new FormatError('Malformed', 'unknown checksum type');
    return { algorithm, type, value: entry.bytes() };
  });
  const contentHeaders = decoder.map();
  const userMetadata = decoder.map();
  decoder.end();
  return { md5, checksums, contentHeaders, userMetadata };
}

function encodePublic(pub: PublicRecord, recordSalt: Uint8Array): Buffer {
  if ((pub.blob === null) !== pub.partCount > 0)
    throw new FormatError('Malformed', 'a body is one blob or pages of parts');
  return enc([
    LABEL,
    pub.format,
    pub.suite,
    pub.chunkLog2,
    pub.bucketUid,
    pub.objectKey,
    pub.versionId,
    pub.isNull,
    pub.lastModifiedMs,
    pub.bodyId,
    pub.size,
    pub.partCount,
    recordSalt,
    pub.blob === null ? null : enc([pub.blob.blobId, pub.blob.size, pub.blob.salt]),
  ]);
}
