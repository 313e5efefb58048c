/**
 * Multipart uploads as rows: seals what CreateMultipartUpload said about the object to come, and opens it again.
 *
 * docs/format.md, "Upload row". Whether an upload is encrypted was decided when it was created and is read from its
 * row alone, whatever the bucket's setting is now.
 */
import type { KeyObject } from 'node:crypto';
import { SUITE } from '../crypto/blobHeader.ts';
import { openDataKey, sealDataKey } from '../crypto/dataKey.ts';
import { FormatError } from '../crypto/errors.ts';
import { newId } from '../crypto/ids.ts';
import { DEFAULT_CHUNK_LOG2 } from '../crypto/sizes.ts';
import type { UploadMeta } from '../crypto/upload.ts';
import { decodeUploadMeta, encodeUploadMeta, openUploadMeta, sealUploadMeta } from '../crypto/upload.ts';
import type { UploadRow } from '../metadata/metadata.ts';
import { verifying } from './damage.ts';
import type { SealingKeys } from './version.ts';

/** What a new upload is, before it is sealed. */
export interface UploadContent
  extends Pick<
    UploadRow,
    'bucketUid' | 'key' | 'checksumAlgorithm' | 'checksumType' | 'ownerId' | 'createdMs'
  > {
  readonly meta: UploadMeta;
}

/** The row of a new upload: sealed under the keys, or in clear when there are none. */
export function sealUpload(content: UploadContent, keys: SealingKeys | null): UploadRow {
  const { meta, ...fields } = content;
  const row = {
    ...fields,
    uploadId: newId(),
    bodyId: newId(),
    encrypted: keys !== null,
    suite: SUITE,
    chunkLog2: DEFAULT_CHUNK_LOG2,
    revision: 0,
  };
  if (keys === null) return { ...row, sealed: null, clearMeta: encodeUploadMeta(meta) };
  const { bucketKey, dataKey, n } = keys;
  const binding = {
    purpose: 'upload',
    bucketUid: row.bucketUid,
    objectKey: row.key,
    id: row.uploadId,
    n,
  } as const;
  const sealedKey = sealDataKey(bucketKey, binding, dataKey);
  return { ...row, sealed: { n, ...sealedKey, ...sealUploadMeta(dataKey, row, meta) }, clearMeta: null };
}

/** An open upload, verified. */
export interface OpenedUpload {
  readonly upload: UploadRow;
  readonly meta: UploadMeta;
  /** null: a plain upload. */
  readonly dataKey: KeyObject | null;
}

/**
 * Opens an upload. `bucketKeyOf(n)` brings version n of the bucket's key and is asked for encrypted uploads only.
 * FormatError 'Integrity' when anything does not verify.
 */
export async function openUpload(
  upload: UploadRow,
  bucketKeyOf: (n: number) => Promise<KeyObject>,
): Promise<OpenedUpload> {
  const place = { subject: 'upload', uploadId: upload.uploadId } as const;
  return await verifying(place, () => openRow(upload, bucketKeyOf));
}

async function openRow(
  upload: UploadRow,
  bucketKeyOf: (n: number) => Promise<KeyObject>,
): Promise<OpenedUpload> {
  const { sealed, clearMeta } = upload;
  if (!upload.encrypted) {
    if (clearMeta === null) throw new FormatError('Integrity', 'plain upload without its metadata');
    return { upload, meta: decodeUploadMeta(clearMeta), dataKey: null };
  }
  if (sealed === null) throw new FormatError('Integrity', 'encrypted upload without its sealed key');
  const { bucketUid, key: objectKey, uploadId: id } = upload;
  const binding = { purpose: 'upload', bucketUid, objectKey, id, n: sealed.n } as const;
  const dataKey = openDataKey(await bucketKeyOf(sealed.n), binding, sealed);
  return { upload, meta: openUploadMeta(dataKey, upload, sealed), dataKey };
}
