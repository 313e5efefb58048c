/** What GetObject and HeadObject share: the version, opened and verified, the conditions, the range, the headers. */
import { allowsKey } from '../authorization/grants.ts';
import { bucketKey } from '../buckets/bucketKeys.ts';
import type { BucketDocument, PinnedVersion } from '../metadata/metadata.ts';
import { DamageError, readingRows } from '../objects/damage.ts';
import { partByNumber } from '../objects/partPages.ts';
import { etagOf, type OpenedVersion, openVersion } from '../objects/version.ts';
import { checksumHeaders } from './checksumHeaders.ts';
import { checkReadConditions, rangeStillApplies } from './conditions.ts';
import { checkEncryptionHeaders, requireBucket, requireKey, type S3Context } from './context.ts';
import { S3Error } from './errors.ts';
import { attributeHeaders } from './objectAttributes.ts';
import { type ByteRange, parseRange } from './ranges.ts';
import type { Principal } from './request.ts';
import type { S3Services } from './services.ts';
import { encryptionHeader } from './writeObject.ts';

/** A read that may go ahead. `first` > `last` for an empty object. release() must be called. */
export interface ObjectRead {
  readonly opened: OpenedVersion;
  readonly status: 200 | 206;
  readonly headers: Readonly<Record<string, string>>;
  readonly first: number;
  readonly last: number;
  release(): void;
}

/** Finds, opens and checks what is to be read. Errors as S3 gives them; FormatError when it does not verify. */
export async function prepareRead(context: S3Context): Promise<ObjectRead> {
  const { request, services } = context;
  const key = requireKey(request);
  const bucket = await requireBucket(services, request.principal, request.bucket);
  checkEncryptionHeaders(context, { operation: 'Read', encrypted: null });
  const pinned = await currentVersion(services, request.principal, bucket, key);
  try {
    const encrypted = pinned.version.descriptor !== null;
    checkEncryptionHeaders(context, { operation: 'Read', encrypted });
    return await describe(context, bucket, pinned);
  } catch (error) {
    pinned.release();
    throw error;
  }
}

/** The current version of a key, pinned. NoSuchKey when there is none, or AccessDenied for whoever may not list it. */
export async function currentVersion(
  services: S3Services,
  principal: Principal,
  bucket: BucketDocument,
  key: Uint8Array,
): Promise<PinnedVersion> {
  // The row of the bucket was verified just now: what does not fit is the version's.
  const pinned = await readingRows({ subject: 'record' }, () =>
    services.metadata.currentVersion(bucket.bucketUid, key),
  );
  if (pinned === null) throw missingKey(principal, bucket.name, key);
  return pinned;
}

/** What is said of an object that does not exist: as at AWS, only whoever may list it is told so. */
function missingKey({ rights }: Principal, bucket: string, key: Uint8Array): S3Error {
  if (!allowsKey(rights, 'list', bucket, key)) return new S3Error('AccessDenied');
  return new S3Error('NoSuchKey', undefined, { details: { Key: Buffer.from(key).toString('utf8') } });
}

/** Opens a version of a bucket with the bucket key that its descriptor names; counts what does not verify. */
export async function openStored(
  services: S3Services,
  bucket: BucketDocument,
  pinned: PinnedVersion,
): Promise<OpenedVersion> {
  return await openVersion(bucket, pinned.version, (n) => bucketKey(services, bucket.bucketUid, n, 'read'));
}

async function describe(
  context: S3Context,
  bucket: BucketDocument,
  pinned: PinnedVersion,
): Promise<ObjectRead> {
  const { request, services } = context;
  const opened = await openStored(services, bucket, pinned);
  const { version, record, keys } = opened;
  const etag = etagOf(record.md5, version.partCount);
  const validators = { etag, lastModifiedMs: version.lastModifiedMs };
  checkReadConditions(request.headers, validators);

  const rangeHeader = request.headers.get('range');
  const partNumber = request.query.get('partNumber');
  if (rangeHeader !== undefined && partNumber !== undefined) {
    throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter');
  }
  const range =
    partNumber === undefined
      ? rangeStillApplies(request.headers, validators)
        ? parseRange(rangeHeader, version.size)
        : null
      : await partRange(services, opened, partNumber);
  const { first, last } = range ?? { first: 0, last: version.size - 1 };
  const whole = first === 0 && last === version.size - 1;
  const showChecksums = request.headers.get('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED' && whole;
  return {
    opened,
    status: range === null ? 200 : 206,
    first,
    last,
    headers: {
      ...attributeHeaders(record, request.query),
      etag,
      'last-modified': new Date(version.lastModifiedMs).toUTCString(),
      'accept-ranges': 'bytes',
      'content-length': String(last - first + 1),
      ...(range === null || version.size === 0
        ? {}
        : { 'content-range': `bytes ${first}-${last}/${version.size}` }),
      ...(partNumber === undefined || version.partCount === 0
        ? {}
        : { 'x-amz-mp-parts-count': String(version.partCount) }),
      ...encryptionHeader(keys !== null),
      ...(showChecksums ? checksumHeaders(record.checksums, version.partCount) : {}),
    },
    release: () => pinned.release(),
  };
}

/** The bytes of one part of a multipart object; an object that was put whole is its own part 1. */
async function partRange(services: S3Services, opened: OpenedVersion, text: string): Promise<ByteRange> {
  const { version, keys } = opened;
  const partNumber = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (partNumber < 1 || partNumber > 10_000) {
    throw new S3Error('InvalidArgument', 'Part number must be an integer between 1 and 10000, inclusive', {
      details: { ArgumentName: 'partNumber', ArgumentValue: text },
    });
  }
  if (version.partCount === 0) {
    if (partNumber > 1) throw new S3Error('InvalidPartNumber');
    return { first: 0, last: version.size - 1 };
  }
  const part = await partByNumber(services.metadata, version, keys?.dataKey ?? null, partNumber);
  if (part === null) throw new S3Error('InvalidPartNumber');
  if (part.offset + part.size > version.size)
    throw new DamageError('Integrity', 'part reaches past its object', {
      subject: 'parts',
      versionId: version.versionId,
    });
  return { first: part.offset, last: part.offset + part.size - 1 };
}
