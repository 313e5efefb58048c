import type { KeyObject } from 'node:crypto';
import type { UploadRow } from '../metadata/metadata.ts';
import { Decoder, enc } from './encoding.ts';
import { encodeStored } from './errors.ts';
import { type RandomSource, systemRandom } from './random.ts';
import { newSalt, openOnce, sealOnce } from './sealing.ts';

const LABEL = 'sealgate/v1/upload';

/** The fields of an upload row that its sealed maps are bound to; a whole UploadRow will do. */
export type UploadFields = Pick<
  UploadRow,
  | 'uploadId'
  | 'bucketUid'
  | 'key'
  | 'bodyId'
  | 'encrypted'
  | 'suite'
  | 'chunkLog2'
  | 'checksumAlgorithm'
  | 'checksumType'
>;

/** What CreateMultipartUpload said about the object to come. Lower-case names, user metadata without its prefix. */
export interface UploadMeta {
  readonly contentHeaders: ReadonlyMap<string, string>;
  readonly userMetadata: ReadonlyMap<string, string>;
}

export interface SealedUploadMeta {
  readonly uploadSalt: Buffer;
  readonly sealedMeta: Buffer;
}

/** Seals both maps under a fresh salt, bound to the upload (format: Upload row). */
export function sealUploadMeta(
  dataKey: KeyObject,
  fields: UploadFields,
  meta: UploadMeta,
  random: RandomSource = systemRandom,
): SealedUploadMeta {
  const uploadSalt = newSalt(random);
  const sealedMeta = sealOnce(dataKey, LABEL, uploadSalt, encodeUploadMeta(meta), fieldBytes(fields));
  return { uploadSalt, sealedMeta };
}

/** Opens both maps. FormatError 'Integrity' when they, or the fields they are bound to, were altered. */
export function openUploadMeta(
  dataKey: KeyObject,
  fields: UploadFields,
  sealed: { readonly uploadSalt: Uint8Array; readonly sealedMeta: Uint8Array },
): UploadMeta {
  const aad = encodeStored('upload', () => fieldBytes(fields));
  return decodeUploadMeta(openOnce('upload', dataKey, LABEL, sealed.uploadSalt, sealed.sealedMeta, aad));
}

/** enc(content headers, user metadata); plain uploads keep it in clear. */
export function encodeUploadMeta(meta: UploadMeta): Buffer {
  return enc([meta.contentHeaders, meta.userMetadata]);
}

/** Reads both maps back. FormatError 'Malformed' for anything that encodeUploadMeta() does not write. */
export function decodeUploadMeta(bytes: Uint8Array): UploadMeta {
  const decoder = new Decoder(bytes);
  const contentHeaders = decoder.map();
  const userMetadata = decoder.map();
  decoder.end();
  return { contentHeaders, userMetadata };
}

function fieldBytes(fields: UploadFields): Buffer {
  return enc([
    fields.uploadId,
    fields.bucketUid,
    fields.key,
    fields.bodyId,
    fields.encrypted,
    fields.suite,
    fields.chunkLog2,
    fields.checksumAlgorithm,
    fields.checksumType,
  ]);
}
