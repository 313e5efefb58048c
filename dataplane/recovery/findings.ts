/** What verify found, and what it could not look at. */
import { BlobError } from '../blobs/blobs.ts';
import { FormatError } from '../crypto/errors.ts';
import { KmsError } from '../keys/keys.ts';
import { type Id, MetadataError } from '../metadata/metadata.ts';
import { keyText, quoted } from './printable.ts';

/** Where something is; as far as it applies. */
export interface Place {
  readonly bucket?: string;
  /** Version of the bucket's key. */
  readonly keyVersion?: number;
  readonly key?: Uint8Array;
  readonly versionId?: Id;
  readonly uploadId?: Id;
  readonly partNumber?: number;
  readonly blobId?: Id;
  readonly accessKeyId?: string;
}

export interface Finding extends Place {
  /** What is wrong there. Never content. */
  readonly what: string;
}

/** Something that could not be checked, with the reason; told once for each place. */
export interface Unchecked extends Place {
  readonly reason: string;
}

/** `bucket "b", object "k", version …, part 3, blob …` */
export function placeText(place: Place): string {
  const { bucket, keyVersion, key, versionId, uploadId, partNumber, blobId, accessKeyId } = place;
  return [
    bucket === undefined ? [] : `bucket ${quoted(bucket)}`,
    keyVersion === undefined ? [] : `key version ${keyVersion}`,
    key === undefined ? [] : `object ${quoted(keyText(key))}`,
    versionId === undefined ? [] : `version ${versionId}`,
    uploadId === undefined ? [] : `upload ${uploadId}`,
    partNumber === undefined ? [] : `part ${partNumber}`,
    blobId === undefined ? [] : `blob ${blobId}`,
    accessKeyId === undefined ? [] : `access key ${quoted(accessKeyId)}`,
  ]
    .flat()
    .join(', ');
}

/** The place with its key as text, for JSON. */
export function placeJson(place: Place): Record<string, unknown> {
  return { ...place, ...(place.key === undefined ? {} : { key: keyText(place.key) }) };
}

/** What an error means to verify: something is wrong, something cannot be looked at, or (null) verify itself failed. */
export function judge(error: unknown): { readonly kind: 'wrong' | 'away'; readonly why: string } | null {
  if (error instanceof FormatError) return { kind: 'wrong', why: error.message };
  if (error instanceof MetadataError && error.code === 'Integrity')
    return { kind: 'wrong', why: error.message };
  // The KMS answered, and what it says cannot be right: without that key the objects are lost.
  if (error instanceof KmsError)
    return {
      kind: error.code === 'KeyMismatch' || error.code === 'NotFound' ? 'wrong' : 'away',
      why: error.message,
    };
  if (error instanceof BlobError)
    return { kind: error.code === 'NotFound' ? 'wrong' : 'away', why: error.message };
  return null;
}
