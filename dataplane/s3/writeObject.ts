/** The steps that PutObject and the form upload share: keys, staging of the body, commit of the version. */
import type { KeyObject } from 'node:crypto';
import { newId } from '../crypto/ids.ts';
import type { PrivateRecord } from '../crypto/record.ts';
import type { BucketDocument, ExpectCurrent } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { BodyWriter, type BodyWriterOptions, type StoredBody, sealedBlob } from '../objects/bodyWriter.ts';
import { etagOf, type SealingKeys, sealVersion } from '../objects/version.ts';
import type { ReceivedBody } from './body/receive.ts';
import { commitConditionally, evaluateWriteCondition, type WriteCondition } from './conditions.ts';
import type { ObjectAttributes } from './objectAttributes.ts';
import { commitSealed } from './sealingKeys.ts';
import type { S3Services } from './services.ts';

/** The header that is sent if and only if the stored bytes concerned are encrypted. */
export function encryptionHeader(encrypted: boolean): Readonly<Record<string, string>> {
  return encrypted ? { 'x-amz-server-side-encryption': 'AES256' } : {};
}

/**
 * Stages a body: `receive` feeds the writer and checks everything that the body must satisfy. Whatever it rejects
 * with, what was staged is removed before this rejects.
 */
export async function stageBody<T>(
  services: S3Services,
  options: Omit<BodyWriterOptions, 'random'>,
  receive: (writer: BodyWriter) => Promise<T>,
): Promise<{ readonly stored: StoredBody; readonly received: T }> {
  const writer = new BodyWriter(services.blobs, { ...options, random: services.random });
  try {
    const received = await receive(writer);
    return { stored: await writer.finish(), received };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

export interface ObjectToCommit {
  readonly bucket: BucketDocument;
  readonly key: Uint8Array;
  readonly keys: SealingKeys | null;
  readonly stored: StoredBody;
  readonly received: Pick<ReceivedBody, 'size' | 'md5' | 'checksum'>;
  readonly attributes: ObjectAttributes;
  readonly condition: WriteCondition;
  /** What the condition's first evaluation found. */
  readonly expectation: ExpectCurrent;
}

export interface CommittedObject {
  /** In quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
}

/** Commits a staged body as the current version; removes it again when the commit is refused. */
export async function commitObject(services: S3Services, object: ObjectToCommit): Promise<CommittedObject> {
  const { bucket, key, keys, stored, received, condition } = object;
  const { checksum, md5 } = received;
  const record: PrivateRecord = {
    md5,
    checksums: checksum === null ? [] : [{ ...checksum, type: 'FULL_OBJECT' }],
    contentHeaders: object.attributes.contentHeaders,
    userMetadata: object.attributes.userMetadata,
  };
  const lastModifiedMs = services.now();
  const content = {
    bucket,
    key,
    versionId: newId(services.random),
    lastModifiedMs,
    bodyId: newId(services.random),
    size: received.size,
    partCount: 0,
    blob: sealedBlob(stored),
    record,
  };
  await withStoredBody(services, stored, () =>
    commitSealed(services, bucket, keys, async (current) => {
      const version = sealVersion(content, current, services);
      await commitConditionally(
        () => evaluateWriteCondition(services, bucket, key, condition),
        object.expectation,
        (expectCurrent) => services.metadata.commitVersion(version, stored, expectCurrent),
        (error) => error instanceof MetadataError && error.code === 'PreconditionFailed',
      );
    }),
  );
  return { etag: etagOf(md5, 0), lastModifiedMs };
}

/** Runs a commit that names a stored blob; removes the blob when it was refused. */
export async function withStoredBody(
  services: S3Services,
  stored: StoredBody,
  commit: () => Promise<void>,
): Promise<void> {
  try {
    await commit();
  } catch (error) {
    // An engine that failed may have committed: then the blob stays, and the collector decides.
    const undecided = error instanceof MetadataError && error.code === 'Unavailable';
    if (stored.kind === 'blob' && !undecided) await services.blobs.delete(stored.location);
    throw error;
  }
}

/** How a new body is written: sealed under the data key, or plain. */
export function writerOptions(
  keys: SealingKeys | null,
  plaintextSize: number | null,
): Omit<BodyWriterOptions, 'random'> {
  const dataKey: KeyObject | null = keys?.dataKey ?? null;
  return { dataKey, plaintextSize, mayInline: true };
}
