/**
 * Object versions as rows: seals what a new version says about itself, opens and verifies what a stored one says.
 *
 * docs/format.md, "Object record". Whether a stored version is encrypted is read from its descriptor alone, never
 * from the request or from the bucket's current setting.
 */
import type { KeyObject } from 'node:crypto';
import { SUITE } from '../crypto/blobHeader.ts';
import { openDataKey, sealDataKey } from '../crypto/dataKey.ts';
import { FormatError } from '../crypto/errors.ts';
import { maskEtag } from '../crypto/listEtag.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { PrivateRecord, PublicRecord } from '../crypto/record.ts';
import { decodePrivate, encodePrivate, openRecord, sealRecord } from '../crypto/record.ts';
import { DEFAULT_CHUNK_LOG2 } from '../crypto/sizes.ts';
import type { BucketDocument, Id, NewVersion, ObjectVersion } from '../metadata/metadata.ts';
import { verifying } from './damage.ts';
import type { ListKeys } from './listKeys.ts';

const FORMAT = 1;

/** The keys that a version is sealed with: its data key, and the bucket key (version n) that wraps it. */
export interface SealingKeys {
  readonly dataKey: KeyObject;
  readonly bucketKey: KeyObject;
  readonly n: number;
}

/** What a worker keeps for all its sealings. */
export interface SealingTools {
  readonly random: RandomSource;
  readonly listKeys: ListKeys;
}

/** What a new version is, before it is sealed. */
export interface VersionContent {
  readonly bucket: BucketDocument;
  readonly key: Uint8Array;
  readonly versionId: Id;
  readonly lastModifiedMs: number;
  readonly bodyId: Id;
  readonly size: number;
  /** 0: one blob; N: pages of parts. */
  readonly partCount: number;
  /** The one blob of a sealed body ('inline' when it lies in the metadata); null for parts and plain bodies. */
  readonly blob: { readonly blobId: string; readonly salt: Uint8Array } | null;
  readonly record: PrivateRecord;
}

/** The row of a new version: sealed under the keys, or in clear when there are none. */
export function sealVersion(
  content: VersionContent,
  keys: SealingKeys | null,
  tools: SealingTools,
): NewVersion {
  const { bucket, record } = content;
  const row = {
    bucketName: bucket.name,
    bucketUid: bucket.bucketUid,
    versioning: bucket.versioning,
    key: content.key,
    versionId: content.versionId,
    isNull: true,
    lastModifiedMs: content.lastModifiedMs,
    bodyId: content.bodyId,
    size: content.size,
    partCount: content.partCount,
    etagParts: content.partCount,
  };
  if (keys === null) {
    return { ...row, descriptor: null, clearRecord: encodePrivate(record), listEtag: record.md5 };
  }
  const { wrapSalt, sealedKey } = sealDataKey(
    keys.bucketKey,
    { purpose: 'object', bucketUid: row.bucketUid, objectKey: row.key, id: row.versionId, n: keys.n },
    keys.dataKey,
    tools.random,
  );
  const { recordSalt, sealedRecord } = sealRecord(
    keys.dataKey,
    {
      format: FORMAT,
      suite: SUITE,
      chunkLog2: DEFAULT_CHUNK_LOG2,
      bucketUid: row.bucketUid,
      objectKey: row.key,
      versionId: row.versionId,
      isNull: row.isNull,
      lastModifiedMs: row.lastModifiedMs,
      bodyId: row.bodyId,
      size: row.size,
      partCount: row.partCount,
      blob: content.blob === null ? null : { ...content.blob, size: content.size },
    },
    record,
    tools.random,
  );
  return {
    ...row,
    descriptor: {
      suite: SUITE,
      chunkLog2: DEFAULT_CHUNK_LOG2,
      n: keys.n,
      wrapSalt,
      sealedKey,
      recordSalt,
      sealedRecord,
    },
    clearRecord: null,
    listEtag: maskEtag(tools.listKeys.of(keys.bucketKey), wrapSalt, record.md5),
  };
}

/** A stored version, verified: its record in clear, and its data key when it is encrypted. */
export interface OpenedVersion {
  readonly version: ObjectVersion;
  readonly record: PrivateRecord;
  /** null: the object is plain. */
  readonly keys: SealingKeys | null;
}

/**
 * Opens a version. `bucketKeyOf(n)` brings version n of the bucket's key and is asked for encrypted versions only.
 * FormatError 'Integrity' when anything does not verify, or a plain row stands where none may be.
 */
export async function openVersion(
  bucket: BucketDocument,
  version: ObjectVersion,
  bucketKeyOf: (n: number) => Promise<KeyObject>,
): Promise<OpenedVersion> {
  const place = { subject: 'record', versionId: version.versionId } as const;
  return await verifying(place, () => openRow(bucket, version, bucketKeyOf));
}

async function openRow(
  bucket: BucketDocument,
  version: ObjectVersion,
  bucketKeyOf: (n: number) => Promise<KeyObject>,
): Promise<OpenedVersion> {
  const { descriptor } = version;
  if (descriptor === null) {
    if (!bucket.everPlain)
      throw new FormatError('Integrity', 'plain object in a bucket that was never plain');
    if (version.clearRecord === null) throw new FormatError('Integrity', 'object without any record');
    return { version, record: decodePrivate(version.clearRecord), keys: null };
  }
  const bucketKey = await bucketKeyOf(descriptor.n);
  const dataKey = openDataKey(
    bucketKey,
    {
      purpose: 'object',
      bucketUid: version.bucketUid,
      objectKey: version.key,
      id: version.versionId,
      n: descriptor.n,
    },
    descriptor,
  );
  const record = openRecord(dataKey, publicRecord(version, descriptor), descriptor);
  return { version, record, keys: { dataKey, bucketKey, n: descriptor.n } };
}

function publicRecord(
  version: ObjectVersion,
  descriptor: { suite: number; chunkLog2: number },
): PublicRecord {
  return {
    format: FORMAT,
    suite: descriptor.suite,
    chunkLog2: descriptor.chunkLog2,
    bucketUid: version.bucketUid,
    objectKey: version.key,
    versionId: version.versionId,
    isNull: version.isNull,
    lastModifiedMs: version.lastModifiedMs,
    bodyId: version.bodyId,
    size: version.size,
    partCount: version.partCount,
    blob: publicBlob(version),
  };
}

function publicBlob(version: ObjectVersion): PublicRecord['blob'] {
  const { body } = version;
  if (body.kind === 'parts') return null;
  // An encrypted body always has a salt; without one the row was tampered with and the record will not open.
  const salt = body.salt ?? new Uint8Array(0);
  return { blobId: body.kind === 'inline' ? 'inline' : body.location.blobId, size: version.size, salt };
}

/** The ETag as S3 writes it in XML: hex MD5, with the number of parts for multipart objects. */
export function etagText(md5: Uint8Array, partCount: number): string {
  const hex = Buffer.from(md5).toString('hex');
  return partCount > 0 ? `${hex}-${partCount}` : hex;
}

/** The ETag as a header: in quotes. */
export function etagOf(md5: Uint8Array, partCount: number): string {
  return `"${etagText(md5, partCount)}"`;
}
