/** Verifies the open uploads of a bucket: the row, every part's MAC, every chunk of every part. */
import type { BucketDocument, UploadPart, UploadRow } from '../metadata/metadata.ts';
import type { UploadEntry } from '../metadata/sqlite/auditReads.ts';
import { openPart } from '../objects/uploadParts.ts';
import { type OpenedUpload, openUpload } from '../objects/uploads.ts';
import { type Checks, checkBlob, Doubts } from './checks.ts';
import { startsWith } from './keyPrefix.ts';
import type { BucketKeys } from './stores.ts';

const UPLOADS_PER_PAGE = 64;
const PARTS_PER_PAGE = 256;

export async function verifyUploads(
  checks: Checks,
  { bucketUid, name }: BucketDocument,
  keys: BucketKeys,
  prefix: Uint8Array,
): Promise<void> {
  let after: Pick<UploadEntry, 'key' | 'uploadId'> | null = { key: prefix, uploadId: '' };
  while (after !== null) {
    const page: readonly UploadEntry[] = await checks.stores.metadata.uploads(
      bucketUid,
      after,
      UPLOADS_PER_PAGE,
    );
    for (const entry of page) {
      if (startsWith(entry.key, prefix)) await verifyUpload(checks, name, bucketUid, keys, entry);
    }
    const last = page.at(-1);
    after = last !== undefined && startsWith(last.key, prefix) ? last : null;
  }
}

async function verifyUpload(
  checks: Checks,
  bucket: string,
  bucketUid: string,
  keys: BucketKeys,
  { uploadId, key, upload }: UploadEntry,
): Promise<void> {
  const { metadata } = checks.stores;
  const doubts = new Doubts();
  const place = { bucket, key, uploadId };
  const rowIsThere = async (): Promise<boolean> => {
    // One character less sorts before the identifier and behind every other one.
    const [now] = await metadata.uploads(bucketUid, { key, uploadId: uploadId.slice(0, -1) }, 1);
    return now?.uploadId === uploadId;
  };
  if (upload instanceof Error) {
    doubts.add(place, upload.message);
    await doubts.settle(checks, rowIsThere);
    return;
  }
  const opened = await openWithKey(doubts, bucket, keys, upload);
  const orphaned = await metadata.partsWithoutBlob(uploadId, 0, PARTS_PER_PAGE);
  for (const partNumber of orphaned) doubts.add({ ...place, partNumber }, 'the blob of the part has no row');
  await doubts.settle(checks, rowIsThere);
  if (opened === null) return;
  for (let afterPart: number | undefined = 0; afterPart !== undefined; ) {
    const parts: readonly UploadPart[] = await metadata.uploadParts(uploadId, afterPart, PARTS_PER_PAGE);
    for (const part of parts) await verifyPart(checks, bucket, opened, part);
    afterPart = parts.at(-1)?.partNumber;
  }
}

async function openWithKey(
  doubts: Doubts,
  bucket: string,
  keys: BucketKeys,
  upload: UploadRow,
): Promise<OpenedUpload | null> {
  const { sealed, key, uploadId } = upload;
  if (sealed !== null) {
    const place = { bucket, keyVersion: sealed.n };
    if ((await doubts.attempt(place, () => keys.key(sealed.n))) === null) return null;
  }
  return await doubts.attempt({ bucket, key, uploadId }, () => openUpload(upload, (n) => keys.key(n)));
}

async function verifyPart(
  checks: Checks,
  bucket: string,
  opened: OpenedUpload,
  part: UploadPart,
): Promise<void> {
  const { upload, dataKey } = opened;
  const { uploadId, key, suite, chunkLog2 } = upload;
  const { partNumber, location } = part;
  const place = { bucket, key, uploadId, partNumber };
  const doubts = new Doubts();
  await doubts.attempt({ ...place, blobId: location.blobId }, () => openPart(opened, part));
  const cipher = dataKey === null ? null : { dataKey, suite, chunkLog2 };
  await checkBlob(checks, doubts, place, cipher, part);
  await doubts.settle(checks, async () => {
    const [now] = await checks.stores.metadata.uploadParts(uploadId, partNumber - 1, 1);
    return now?.partNumber === partNumber && now.location.blobId === location.blobId;
  });
}
