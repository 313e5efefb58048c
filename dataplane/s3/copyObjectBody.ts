/** The two ways in which a copy comes to its bytes: a reference to the source's body, or a stream under a new key. */
import { SUITE } from '../crypto/blobHeader.ts';
import { newId } from '../crypto/ids.ts';
import type { ObjectChecksum } from '../crypto/record.ts';
import { DEFAULT_CHUNK_LOG2 } from '../crypto/sizes.ts';
import {
  type BucketDocument,
  type ChecksumAlgorithm,
  type ExpectCurrent,
  MetadataError,
} from '../metadata/metadata.ts';
import { etagOf, type OpenedVersion, type SealingKeys, sealVersion } from '../objects/version.ts';
import { commitConditionally, evaluateWriteCondition, type WriteCondition } from './conditions.ts';
import { copyBody } from './copyBody.ts';
import type { ObjectAttributes } from './objectAttributes.ts';
import { commitSealed } from './sealingKeys.ts';
import type { S3Services } from './services.ts';
import { type CommittedObject, commitObject, stageBody, writerOptions } from './writeObject.ts';

/** A copy that may go ahead. */
export interface CopyPlan {
  readonly source: OpenedVersion;
  readonly bucket: BucketDocument;
  readonly key: Uint8Array;
  /** For the result; null = it is plain. The data key serves streamed copies only. */
  readonly keys: SealingKeys | null;
  readonly attributes: ObjectAttributes;
  /** Asked for; null = what the source has. */
  readonly checksumAlgorithm: ChecksumAlgorithm | null;
  readonly condition: WriteCondition;
  readonly expectation: ExpectCurrent;
  readonly signal: AbortSignal;
}

export interface CopiedObject extends CommittedObject {
  readonly checksum: ObjectChecksum | null;
  /** Parts that a composite checksum is made of; 0 = the object is one blob. */
  readonly partCount: number;
}

/** Copies by reference where docs/format.md allows it, otherwise byte by byte. MetadataError 'SourceChanged'. */
export async function copyObjectBody(services: S3Services, plan: CopyPlan): Promise<CopiedObject> {
  return mayShareBody(plan) ? await shareBody(services, plan) : await streamBody(services, plan);
}

/** One bucket, both ends encrypted or both plain, the layout that is written today, and the checksum known. */
function mayShareBody({ source, bucket, keys, checksumAlgorithm }: CopyPlan): boolean {
  const { version, record } = source;
  const { descriptor } = version;
  if (version.bucketUid !== bucket.bucketUid || (descriptor === null) !== (keys === null)) return false;
  if (descriptor !== null && (descriptor.suite !== SUITE || descriptor.chunkLog2 !== DEFAULT_CHUNK_LOG2))
    return false;
  if (checksumAlgorithm === null) return true;
  return record.checksums.some(
    (known) => known.algorithm === checksumAlgorithm && known.type === 'FULL_OBJECT',
  );
}

async function shareBody(services: S3Services, plan: CopyPlan): Promise<CopiedObject> {
  const { source, bucket, key, attributes } = plan;
  const { version } = source;
  const { partCount } = version;
  const lastModifiedMs = services.now();
  const keys =
    plan.keys === null || source.keys === null ? null : { ...plan.keys, dataKey: source.keys.dataKey };
  const { md5, checksums } = source.record;
  const { bodyId, size } = version;
  const blob = sharedBlob(source);
  const versionId = newId(services.random);
  const content = { bucket, key, versionId, lastModifiedMs, bodyId, size, partCount, blob };
  const copy = { ...content, record: { md5, checksums, ...attributes } };
  const body = { kind: 'shared', sourceKey: version.key, sourceVersionId: version.versionId } as const;
  await commitSealed(services, bucket, keys, async (current) => {
    const sealed = sealVersion(copy, current, services);
    await commitConditionally(
      () => evaluateWriteCondition(services, bucket, key, plan.condition),
      plan.expectation,
      (expectCurrent) => services.metadata.commitVersion(sealed, body, expectCurrent),
      (error) => error instanceof MetadataError && error.code === 'PreconditionFailed',
    );
  });
  const checksum = checksums[0] ?? null;
  return { etag: etagOf(md5, partCount), lastModifiedMs, checksum, partCount };
}

function sharedBlob({
  version,
}: OpenedVersion): { readonly blobId: string; readonly salt: Uint8Array } | null {
  const { body } = version;
  if (body.kind === 'parts' || body.salt === null) return null;
  return { blobId: body.kind === 'inline' ? 'inline' : body.location.blobId, salt: body.salt };
}

async function streamBody(services: S3Services, plan: CopyPlan): Promise<CopiedObject> {
  const { source, bucket, key, keys, attributes, condition, expectation, signal } = plan;
  const { size } = source.version;
  const checksumAlgorithm = plan.checksumAlgorithm ?? source.record.checksums[0]?.algorithm ?? null;
  const { stored, received } = await stageBody(services, writerOptions(keys, size), (writer) =>
    copyBody(services, source, { first: 0, last: size - 1, checksumAlgorithm, signal }, writer),
  );
  const { md5 } = received;
  const checksum =
    received.checksum === null
      ? null
      : { algorithm: received.checksum.algorithm, value: Buffer.from(received.checksum.value) };
  const committed = await commitObject(services, {
    bucket,
    key,
    keys,
    stored,
    received: { size, md5, checksum },
    attributes,
    condition,
    expectation,
  });
  return {
    ...committed,
    checksum: checksum === null ? null : { ...checksum, type: 'FULL_OBJECT' },
    partCount: 0,
  };
}
