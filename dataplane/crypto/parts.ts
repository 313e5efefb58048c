/** Parts of a body: their sealed digests, and the MACs over single parts and pages of parts (format: Parts). */
import type { KeyObject } from 'node:crypto';
import type { ChecksumAlgorithm, Id, PartEntry } from '../metadata/metadata.ts';
import { isChecksumAlgorithm } from './checksumNames.ts';
import { Decoder, enc, type Field } from './encoding.ts';
import { encodeStored, FormatError } from './errors.ts';
import { type RandomSource, systemRandom } from './random.ts';
import { deriveKey, hmac, newSalt, openOnce, requireEqual, SALT_BYTES, sealOnce } from './sealing.ts';

const DIGESTS_LABEL = 'sealgate/v1/digests';
const PARTS_LABEL = 'sealgate/v1/parts';
const UPLOAD_PART_LABEL = 'sealgate/v1/upload-part';
const MD5_BYTES = 16;

/** Digests of one part's plaintext. */
export interface PartDigests {
  /** 16 bytes. */
  readonly md5: Uint8Array;
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: Uint8Array } | null;
}

/** The part that sealed digests belong to. */
export interface DigestsBinding {
  readonly bodyId: Id;
  readonly partNumber: number;
  readonly blobId: Id;
}

export interface SealedDigests {
  readonly digestSalt: Buffer;
  readonly sealedDigests: Buffer;
}

/** A part of an encrypted upload as its MAC covers it; `digests` is sealedDigests. */
export interface MacedPart {
  readonly partNumber: number;
  readonly size: number;
  readonly blobId: Id;
  readonly salt: Uint8Array;
  readonly digestSalt: Uint8Array;
  readonly digests: Uint8Array;
}

/** Seals a part's digests under a fresh salt. */
export function sealDigests(
  dataKey: KeyObject,
  binding: DigestsBinding,
  digests: PartDigests,
  random: RandomSource = systemRandom,
): SealedDigests {
  const digestSalt = newSalt(random);
  const sealedDigests = sealOnce(
    dataKey,
    DIGESTS_LABEL,
    digestSalt,
    encodeDigests(digests),
    bindingBytes(binding),
  );
  return { digestSalt, sealedDigests };
}

/** Opens a part's digests. FormatError 'Integrity' when they were altered or belong to another part. */
export function openDigests(
  dataKey: KeyObject,
  binding: DigestsBinding,
  sealed: { readonly digestSalt: Uint8Array; readonly sealedDigests: Uint8Array },
): PartDigests {
  const aad = encodeStored('part digests', () => bindingBytes(binding));
  return decodeDigests(
    openOnce('part digests', dataKey, DIGESTS_LABEL, sealed.digestSalt, sealed.sealedDigests, aad),
  );
}

/** enc(MD5, checksum); plain parts keep it in clear. */
export function encodeDigests(digests: PartDigests): Buffer {
  if (digests.md5.length !== MD5_BYTES) throw new FormatError('Malformed', 'an MD5 has 16 bytes');
  const { checksum } = digests;
  return enc([digests.md5, checksum === null ? null : enc([checksum.algorithm, checksum.value])]);
}

/** Reads enc(MD5, checksum) back. FormatError 'Malformed' for anything that encodeDigests() does not write. */
export function decodeDigests(bytes: Uint8Array): PartDigests {
  const decoder = new Decoder(bytes);
  const md5 = decoder.bytes();
  if (md5.length !== MD5_BYTES) throw new FormatError('Malformed', 'an MD5 has 16 bytes');
  const checksum = decoder.optionalBytes();
  decoder.end();
  if (checksum === null) return { md5, checksum };
  const fields = new Decoder(checksum);
  const algorithm = fields.text();
  if (!isChecksumAlgorithm(algorithm)) throw new FormatError('Malformed', 'unknown checksum algorithm');
  const value = fields.bytes();
  fields.end();
  return { md5, checksum: { algorithm, value } };
}

/** MAC of one part of an open upload. */
export function partMac(dataKey: KeyObject, uploadId: Id, part: MacedPart): Buffer {
  return hmac(deriveKey(dataKey, uploadId, UPLOAD_PART_LABEL), partBytes(part));
}

/** FormatError 'Integrity' unless `mac` is the part's. */
export function verifyPartMac(dataKey: KeyObject, uploadId: Id, part: MacedPart, mac: Uint8Array): void {
  const message = encodeStored('upload part', () => partBytes(part));
  requireEqual('upload part', hmac(deriveKey(dataKey, uploadId, UPLOAD_PART_LABEL), message), mac);
}

/** MAC of one page of an encrypted body's parts. FormatError 'Malformed' for a part without its salts. */
export function pageMac(dataKey: KeyObject, bodyId: Id, page: number, entries: readonly PartEntry[]): Buffer {
  return hmac(deriveKey(dataKey, bodyId, PARTS_LABEL), pageBytes(page, entries));
}

/** FormatError 'Integrity' unless `mac` is the page's. */
export function verifyPageMac(
  dataKey: KeyObject,
  bodyId: Id,
  page: number,
  entries: readonly PartEntry[],
  mac: Uint8Array,
): void {
  const message = encodeStored('page of parts', () => pageBytes(page, entries));
  requireEqual('page of parts', hmac(deriveKey(dataKey, bodyId, PARTS_LABEL), message), mac);
}

function bindingBytes(binding: DigestsBinding): Buffer {
  return enc([binding.bodyId, binding.partNumber, binding.blobId]);
}

function partBytes(part: MacedPart): Buffer {
  return enc([part.partNumber, part.size, part.blobId, ...sealedFields(part)]);
}

function pageBytes(page: number, entries: readonly PartEntry[]): Buffer {
  return enc([
    page,
    entries.map((entry) => [
      entry.partNumber,
      entry.offset,
      entry.size,
      entry.location.blobId,
      ...sealedFields(entry),
    ]),
  ]);
}

function sealedFields(part: Pick<PartEntry, 'salt' | 'digestSalt' | 'digests'>): Field[] {
  if (part.salt?.length !== SALT_BYTES || part.digestSalt?.length !== SALT_BYTES) {
    throw new FormatError('Malformed', 'a part of an encrypted body has two salts of 32 bytes');
  }
  return [part.salt, part.digestSalt, part.digests];
}
