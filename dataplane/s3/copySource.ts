/** The source of a copy: named by a header, found, opened and verified like an object that is read. */
import type { BucketDocument, PinnedVersion } from '../metadata/metadata.ts';
import type { OpenedVersion } from '../objects/version.ts';
import { etagOf } from '../objects/version.ts';
import { checkReadConditions } from './conditions.ts';
import { requireBucket, type S3Context } from './context.ts';
import { S3Error } from './errors.ts';
import { currentVersion, openStored } from './readObject.ts';
import { HeaderBag } from './request.ts';
import type { S3Services } from './services.ts';
import { percentDecode } from './target.ts';
import { checkExpectedBucketOwner } from './unbuiltHeaders.ts';

/** 5 GiB: the most that one request copies. */
export const MAX_COPY_BYTES = 5 * 1024 ** 3;

const HEADER = 'x-amz-copy-source';
const CONDITION_PREFIX = 'x-amz-copy-source-if-';
const VERSION_MARK = '?versionId=';

/** The object that x-amz-copy-source names; whether it may be read was decided before the operation. */
export interface CopySource {
  readonly bucket: string;
  readonly key: Buffer;
}

/**
 * Reads x-amz-copy-source: `bucket/key` in percent-encoding, with or without a slash in front.
 *
 * @throws S3Error InvalidArgument; NotImplemented: another version than the current one
 */
export function copySource(headers: HeaderBag): CopySource {
  const values = headers.all(HEADER);
  const text = values[0] ?? '';
  if (values.length > 1) throw invalidSource('x-amz-copy-source must not be given more than once.', text);
  const mark = text.indexOf(VERSION_MARK);
  const path = mark < 0 ? text : text.slice(0, mark);
  if (mark >= 0 && text.slice(mark + VERSION_MARK.length) !== 'null') {
    throw new S3Error('NotImplemented', undefined, { details: { Header: HEADER } });
  }
  const decoded = decodePath(path.startsWith('/') ? path.slice(1) : path, text);
  const slash = decoded.indexOf('/');
  if (slash < 1 || slash === decoded.length - 1) {
    throw invalidSource('Copy Source must mention the source bucket and key: sourcebucket/sourcekey', text);
  }
  return { bucket: decoded.subarray(0, slash).toString('utf8'), key: decoded.subarray(slash + 1) };
}

function decodePath(path: string, text: string): Buffer {
  try {
    // An encoded slash between bucket and key is what some clients send.
    return percentDecode(path);
  } catch (cause) {
    throw invalidSource('Invalid copy source encoding', text, cause);
  }
}

function invalidSource(message: string, text: string, cause?: unknown): S3Error {
  const details = { ArgumentName: HEADER, ArgumentValue: text };
  return new S3Error('InvalidArgument', message, { details, cause });
}

/** A source that exists; not opened yet, for that needs its key. release() must be called. */
export interface FoundSource {
  readonly bucket: BucketDocument;
  readonly pinned: PinnedVersion;
  release(): void;
}

/** Finds the source. 404 NoSuchBucket, NoSuchKey; 403 AccessDenied. */
export async function findSource(context: S3Context, source: CopySource): Promise<FoundSource> {
  const { request, services } = context;
  const bucket = await requireBucket(services, request.principal, source.bucket);
  const expectedOwner = 'x-amz-source-expected-bucket-owner';
  checkExpectedBucketOwner(request.headers, bucket.ownerId, expectedOwner);
  const pinned = await currentVersion(services, request.principal, bucket, source.key);
  return { bucket, pinned, release: () => pinned.release() };
}

/**
 * Refuses a copy of something encrypted to where it would be plain, when the policy says so; the result of any
 * other copy tells truthfully what it is.
 *
 * @throws S3Error InvalidRequest
 */
export function checkCopyToPlain(services: S3Services, found: FoundSource, resultEncrypted: boolean): void {
  if (resultEncrypted || services.settings.policy.copyToPlain === 'Allowed') return;
  if (found.bucket.encryption === null && found.pinned.version.descriptor === null) return;
  throw new S3Error('InvalidRequest', 'Copies from encrypted into plain buckets are refused here.');
}

/** Opens the source, checks its record and the x-amz-copy-source-if-* conditions: 412 for each that does not hold. */
export async function openSource(context: S3Context, found: FoundSource): Promise<OpenedVersion> {
  const opened = await openStored(context.services, found.bucket, found.pinned);
  const conditions: string[] = [];
  for (const [name, value] of context.request.headers.entries) {
    if (name.startsWith(CONDITION_PREFIX)) conditions.push(name.slice(HEADER.length + 1), value);
  }
  const { version, record } = opened;
  const etag = etagOf(record.md5, version.partCount);
  try {
    checkReadConditions(new HeaderBag(conditions), { etag, lastModifiedMs: version.lastModifiedMs });
  } catch (error) {
    if (!(error instanceof S3Error) || error.code !== 'NotModified') throw error;
    throw new S3Error('PreconditionFailed', undefined, { cause: error });
  }
  return opened;
}

/** A copy of more than 5 GiB at once. */
export function copyTooLarge(): S3Error {
  return new S3Error(
    'InvalidRequest',
    `The specified copy source is larger than the maximum allowable size for a copy source: ${MAX_COPY_BYTES}`,
  );
}
