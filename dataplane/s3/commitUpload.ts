/** Makes the parts of an upload an object, in competition with other requests on the same upload and key. */
import { newId } from '../crypto/ids.ts';
import {
  type BucketDocument,
  type ExpectCurrent,
  MetadataError,
  type MetadataErrorCode,
  type UploadRow,
} from '../metadata/metadata.ts';
import { sealVersion } from '../objects/version.ts';
import { type CompletedObject, completedObject } from './completedUpload.ts';
import { joinParts } from './completeParts.ts';
import { commitConditionally } from './conditions.ts';
import { S3Error } from './errors.ts';
import { type ObjectExpectations, requireExpected } from './objectExpectations.ts';
import { commitSealed, currentWritingKey } from './sealingKeys.ts';
import type { S3Services } from './services.ts';
import { openStoredUpload } from './uploads.ts';
import type { CompletedPart } from './xml/requests.ts';

/** How often an upload whose parts change while it is being completed is read anew. */
const UPLOAD_CHANGED_ATTEMPTS = 8;
const LOST: ReadonlySet<MetadataErrorCode> = new Set(['UploadChanged', 'NoSuchUpload']);

export interface UploadCompletion {
  readonly bucket: BucketDocument;
  readonly upload: UploadRow;
  /** In ascending order. */
  readonly listed: readonly CompletedPart[];
  readonly expected: ObjectExpectations;
  /** What the condition of the request found, and how to ask it again. */
  readonly expectation: ExpectCurrent;
  readonly evaluate: () => Promise<ExpectCurrent>;
}

/** Resolves to null when the upload has ended meanwhile. Rejects with what joinParts and requireExpected say. */
export async function commitUpload(
  services: S3Services,
  completion: UploadCompletion,
): Promise<CompletedObject | null> {
  const { bucketUid, key, uploadId } = completion.upload;
  let upload = completion.upload;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await commitOnce(services, completion, upload);
    } catch (error) {
      const lost = error instanceof MetadataError && LOST.has(error.code);
      if (!lost && !(error instanceof S3Error)) throw error;
      const current = await services.metadata.upload(bucketUid, key, uploadId);
      if (current === null) return null;
      // What was found wrong may have been true of no one state of the upload.
      const changed = lost || current.revision !== upload.revision;
      if (!changed || attempt === UPLOAD_CHANGED_ATTEMPTS) throw error;
      upload = current;
    }
  }
}

async function commitOnce(
  services: S3Services,
  completion: UploadCompletion,
  upload: UploadRow,
): Promise<CompletedObject> {
  const { bucket, listed, expected, expectation, evaluate } = completion;
  const opened = await openStoredUpload(services, upload, 'read');
  const joined = await joinParts(services.metadata, opened, listed);
  requireExpected(expected, joined);
  const { size, partCount, md5, pages, checksum } = joined;
  const { uploadId, revision } = upload;
  // The same data key, sealed for the version that it now belongs to under the bucket's newest key.
  const keys =
    opened.dataKey === null
      ? null
      : { dataKey: opened.dataKey, ...(await currentWritingKey(services, bucket)) };
  const content = {
    bucket,
    key: upload.key,
    versionId: newId(services.random),
    lastModifiedMs: services.now(),
    bodyId: upload.bodyId,
    size,
    partCount,
    blob: null,
    record: { md5, checksums: checksum === null ? [] : [checksum], ...opened.meta },
  };
  await commitSealed(services, bucket, keys, async (current) => {
    const version = sealVersion(content, current, services);
    await commitConditionally(
      evaluate,
      expectation,
      (expectCurrent) =>
        services.metadata.completeUpload({ uploadId, revision }, version, pages, expectCurrent),
      (error) => error instanceof MetadataError && error.code === 'PreconditionFailed',
    );
  });
  return completedObject(md5, partCount, checksum);
}
