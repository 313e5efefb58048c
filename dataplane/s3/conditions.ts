/** Conditional requests: RFC 9110 section 13 with the precedence that S3 documents. */
import { bucketKey } from '../buckets/bucketKeys.ts';
import type { BucketDocument, ExpectCurrent } from '../metadata/metadata.ts';
import { etagOf, openVersion } from '../objects/version.ts';
import { S3Error } from './errors.ts';
import type { HeaderBag } from './request.ts';
import type { S3Services } from './services.ts';

/** If-Match and If-None-Match of a write; null = not given. */
export interface WriteCondition {
  readonly ifMatch: string | null;
  readonly ifNoneMatch: boolean;
}

/** Reads the conditions of a write. S3 builds only `If-None-Match: *`; anything else is 501, never ignored. */
export function writeCondition(headers: HeaderBag): WriteCondition {
  const ifNoneMatch = headers.get('if-none-match')?.trim();
  if (ifNoneMatch !== undefined && ifNoneMatch !== '*') throw new S3Error('NotImplemented');
  for (const name of ['if-modified-since', 'if-unmodified-since']) {
    if (headers.has(name)) throw new S3Error('NotImplemented');
  }
  const ifMatch = headers.get('if-match')?.trim() ?? null;
  if (ifMatch !== null && ifNoneMatch !== undefined) throw new S3Error('NotImplemented');
  return { ifMatch, ifNoneMatch: ifNoneMatch !== undefined };
}

/**
 * Evaluates a write's condition against the current object and says what the commit must still find. Errors:
 * PreconditionFailed; NoSuchKey for If-Match without an object, as AWS.
 */
export async function evaluateWriteCondition(
  services: S3Services,
  bucket: BucketDocument,
  key: Uint8Array,
  condition: WriteCondition,
): Promise<ExpectCurrent> {
  if (condition.ifMatch === null && !condition.ifNoneMatch) return undefined;
  const pinned = await services.metadata.currentVersion(bucket.bucketUid, key);
  if (pinned === null) {
    if (condition.ifMatch !== null) throw new S3Error('NoSuchKey');
    return 'absent';
  }
  try {
    const { version } = pinned;
    if (condition.ifMatch === null) throw preconditionFailed('If-None-Match');
    if (condition.ifMatch === '*') return version.versionId;
    const opened = await openVersion(bucket, version, (n) =>
      bucketKey(services, bucket.bucketUid, n, 'read'),
    );
    const etag = etagOf(opened.record.md5, version.partCount);
    if (!matchesEtag(condition.ifMatch, etag)) throw preconditionFailed('If-Match');
    return version.versionId;
  } finally {
    pinned.release();
  }
}

/** How often a commit that lost a race is evaluated anew before the client is told to retry. */
const COMMIT_ATTEMPTS = 16;

/**
 * Commits under a condition: when another write came first, the condition is evaluated again. `expectation` is what
 * the first evaluation, before the body was read, found.
 */
export async function commitConditionally(
  evaluate: () => Promise<ExpectCurrent>,
  expectation: ExpectCurrent,
  commit: (expectCurrent: ExpectCurrent) => Promise<void>,
  lostRace: (error: unknown) => boolean,
): Promise<void> {
  let expected = expectation;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await commit(expected);
      return;
    } catch (error) {
      if (!lostRace(error)) throw error;
      if (attempt === COMMIT_ATTEMPTS)
        throw new S3Error('ConditionalRequestConflict', undefined, { cause: error });
      expected = await evaluate();
    }
  }
}

function preconditionFailed(header: string): S3Error {
  return new S3Error('PreconditionFailed', undefined, { details: { Condition: header } });
}

/** A 304 repeats the validators (RFC 9110 section 15.4.5). */
function notModified({ etag, lastModifiedMs }: Validators): S3Error {
  const headers = { etag, 'last-modified': new Date(lastModifiedMs).toUTCString() };
  return new S3Error('NotModified', undefined, { headers });
}

/** What a conditional read is compared with. */
export interface Validators {
  /** In quotes. */
  readonly etag: string;
  readonly lastModifiedMs: number;
}

/** Checks the conditions of GET, HEAD. Throws PreconditionFailed, or NotModified (304). */
export function checkReadConditions(headers: HeaderBag, validators: Validators): void {
  const modifiedSeconds = Math.floor(validators.lastModifiedMs / 1000);
  const ifMatch = headers.get('if-match');
  const unmodifiedSince = seconds(headers.get('if-unmodified-since'));
  if (ifMatch !== undefined) {
    if (!matchesEtag(ifMatch, validators.etag)) throw preconditionFailed('If-Match');
  } else if (unmodifiedSince !== null && modifiedSeconds > unmodifiedSince) {
    throw preconditionFailed('If-Unmodified-Since');
  }
  const ifNoneMatch = headers.get('if-none-match');
  const modifiedSince = seconds(headers.get('if-modified-since'));
  if (ifNoneMatch !== undefined) {
    if (matchesEtag(ifNoneMatch, validators.etag)) throw notModified(validators);
  } else if (modifiedSince !== null && modifiedSeconds <= modifiedSince) {
    throw notModified(validators);
  }
}

/** If-Range: whether a range still applies to this object (RFC 9110 section 13.1.5). */
export function rangeStillApplies(headers: HeaderBag, validators: Validators): boolean {
  const ifRange = headers.get('if-range')?.trim();
  if (ifRange === undefined) return true;
  if (ifRange.startsWith('"')) return ifRange === validators.etag;
  const since = seconds(ifRange);
  return since !== null && Math.floor(validators.lastModifiedMs / 1000) <= since;
}

/** Whether a list of entity tags (quoted or bare, weak ones compared strongly) names this one, or is `*`. */
export function matchesEtag(list: string, etag: string): boolean {
  return list
    .split(',')
    .map((item) => item.trim())
    .some((item) => item === '*' || item === etag || `"${item}"` === etag);
}

function seconds(date: string | undefined): number | null {
  if (date === undefined) return null;
  const ms = Date.parse(date);
  return Number.isNaN(ms) ? null : Math.floor(ms / 1000);
}
