/** What the admin API asks about buckets and keys, answered in the jobs' thread: the main thread reads no metadata. */
import { ageText } from '../admin/age.ts';
import { AdminError } from '../admin/errors.ts';
import type {
  BucketReport,
  BucketSummary,
  KeyAdministration,
  KeyVersionReport,
  RewrapReport,
} from '../admin/keyAdministration.ts';
import { BucketClaimError } from '../buckets/bucketClaim.ts';
import { changeBucket } from '../buckets/bucketEncryption.ts';
import { RotationError, requestOf } from '../buckets/rotateBucketKey.ts';
import { type KeyProvider, KmsError } from '../keys/keys.ts';
import {
  type BucketDocument,
  type BucketEntry,
  type Id,
  type KeyUses,
  type KeyVersionDocument,
  type Metadata,
  MetadataError,
} from '../metadata/metadata.ts';
import type { Declarations } from './declarations.ts';
import type { JobLog } from './jobLog.ts';
import type { KeyJobs } from './keyJobs.ts';
import type { ReencryptJobs } from './reencryptJobs.ts';
import { loadRewrapState } from './rewrapState.ts';
import type { Rotations } from './rotations.ts';
import { isSealedUnder } from './sealedUnder.ts';

export interface AdministrationOptions {
  readonly metadata: Metadata;
  readonly keys: Pick<KeyProvider, 'destroyKey'>;
  readonly rotations: Rotations;
  readonly jobs: Pick<KeyJobs, 'wake' | 'waiting'>;
  readonly reencryptions: Pick<ReencryptJobs, 'request' | 'report'>;
  readonly declarations: Pick<Declarations, 'declare' | 'remove'>;
  readonly settings: AdministrationSettings;
  readonly log: JobLog;
}

/** What the configuration in force says; asked at every call. */
export interface AdministrationSettings {
  region(): string;
  /** S3's owner of declared buckets. */
  ownerId(): string;
  hasConnection(connection: string): boolean;
}

const NO_USES: KeyUses = { versions: 0, uploads: 0 };
const RETIRED: ReadonlySet<string> = new Set(['Retiring', 'Revoked', 'Destroyed']);

/** Every call rejects with AdminError, but for defects. */
export function administer(options: AdministrationOptions): KeyAdministration {
  const { metadata, keys, rotations, jobs, reencryptions, declarations, settings, log } = options;
  const report = async (row: KeyVersionDocument): Promise<KeyVersionReport> => {
    const bucket = await metadata.bucketByUid(row.bucketUid).catch(nullIfEdited);
    return keyVersionReport(row, bucket, await metadata.keyUses(row.bucketUid));
  };
  const calls: KeyAdministration = {
    buckets: async ({ after, limit }) => {
      const entries = await metadata.listEveryBucket({ after, limit });
      const last = entries.length < limit ? undefined : entries.at(-1);
      const buckets: BucketSummary[] = [];
      for (const entry of entries) buckets.push(await entrySummary(metadata, entry));
      return { buckets, next: last?.name ?? null };
    },
    bucket: async (name) => await bucketReport(options, await requireBucket(metadata, name)),
    declare: async (name, wish) => {
      const [region, ownerId] = [settings.region(), settings.ownerId()];
      const bucket = await declarations.declare({ ...wish, name, region, ownerId });
      return await bucketReport(options, bucket);
    },
    remove: async (name, wish) => {
      if (await declarations.remove({ ...wish, name })) return null;
      const bucket = await metadata.bucket(name);
      return bucket?.state === 'Deleting' ? await bucketReport(options, bucket) : null;
    },
    rotate: async (name, request) => {
      const made = await rotations.rotate(name, request);
      jobs.wake();
      return await report(made);
    },
    reencrypt: (name) => reencryptions.request(name),
    reencryption: (name) => reencryptions.report(name),
    setRotation: async (name, everyMs) => {
      const bucket = await requireBucket(metadata, name);
      if (bucket.keyVersion === null) throw new AdminError('NotEncrypted', `bucket ${name} has no key`);
      const changed = await changeBucket(metadata, bucket, (newest) => ({
        ...newest,
        rotateEveryMs: everyMs,
      }));
      jobs.wake();
      return await summary(metadata, changed);
    },
    keys: async ({ after, limit, unused }) => {
      const entries = await metadata.listKeyVersions({ after: position(after), limit });
      const rows = entries.flatMap(({ keyVersion }) =>
        keyVersion instanceof MetadataError || (unused && !RETIRED.has(keyVersion.state)) ? [] : [keyVersion],
      );
      const reports: KeyVersionReport[] = [];
      for (const row of rows) reports.push(await report(row));
      const last = entries.length < limit ? undefined : entries.at(-1);
      return { keys: reports, next: last === undefined ? null : `${last.bucketUid}/${last.n}` };
    },
    destroyKey: async (bucketUid, n) => {
      const row = await metadata.keyVersion(bucketUid, n);
      if (row === null)
        throw new AdminError('NoSuchKeyVersion', `bucket ${bucketUid} has no key version ${n}`);
      if (row.state === 'Destroyed') return await report(row);
      const { versions, uploads } = (await metadata.keyUses(bucketUid)).get(n) ?? NO_USES;
      if (row.state !== 'Revoked' || versions + uploads > 0) {
        throw new AdminError(
          'KeyInUse',
          `key version ${n} of bucket ${bucketUid} is ${row.state} and ${versions + uploads} sealed keys name it: only one that is Revoked and unused can be destroyed`,
        );
      }
      if (await isSealedUnder(metadata, bucketUid, n)) {
        throw new AdminError(
          'KeyInUse',
          `a sealed key of bucket ${bucketUid} names key version ${n}, although it counts as unused: run sealgate verify`,
        );
      }
      const { kmsConnection: connection, kmsId } = row;
      if (kmsId !== null) await keys.destroyKey(connection, kmsId);
      const destroyed = { ...row, revision: row.revision + 1, state: 'Destroyed' } as const;
      await metadata.putKeyVersion(destroyed);
      log.info({ bucketUid, n, connection, kmsId }, 'a revoked key version was destroyed in the KMS');
      return await report(destroyed);
    },
    connectionUse: async (connection) => {
      const use = await metadata.connectionUse(connection);
      return { connection, configured: settings.hasConnection(connection), ...use };
    },
    epoch: () => metadata.epoch(),
    takeEpoch: async (holder) => {
      const epoch = await metadata.takeEpoch();
      log.info({ epoch, holder }, 'a leader took the next epoch');
      return epoch;
    },
  };
  return translated(calls);
}

/** An edited row of a bucket hides none of its keys. */
function nullIfEdited(error: unknown): null {
  if (error instanceof MetadataError && error.code === 'Integrity') return null;
  throw error;
}

async function requireBucket(metadata: Pick<Metadata, 'bucket'>, name: string): Promise<BucketDocument> {
  const bucket = await metadata.bucket(name);
  if (bucket === null) throw new AdminError('NoSuchBucket', `there is no bucket ${name}`);
  return bucket;
}

async function bucketReport(
  { metadata, jobs }: Pick<AdministrationOptions, 'metadata' | 'jobs'>,
  bucket: BucketDocument,
): Promise<BucketReport> {
  const { bucketUid, keyVersion } = bucket;
  const [usage, rows, uses, state] = await Promise.all([
    metadata.usage(bucketUid),
    metadata.keyVersions(bucketUid),
    metadata.keyUses(bucketUid),
    loadRewrapState(metadata, bucketUid),
  ]);
  const older = rows.filter(({ n }) => keyVersion !== null && n < keyVersion);
  const remaining = older.map(({ n }) => uses.get(n) ?? NO_USES).reduce((sum, of) => sum + total(of), 0);
  const failure = jobs.waiting(bucketUid);
  const pending = older.some(({ state: of }) => of === 'Readable');
  const progress = state?.target === keyVersion ? state : null;
  const rewrap: RewrapReport = {
    state: failure !== null ? 'Waiting' : pending ? 'Running' : 'Idle',
    done: progress?.done ?? 0,
    remaining,
    damaged: progress?.damaged ?? 0,
    message: failure?.message ?? null,
  };
  const keyVersions = rows.map((row) => keyVersionReport(row, bucket, uses));
  return { ...summaryOf(bucket, rows), usage, keyVersions, rewrap };
}

const total = ({ versions, uploads }: KeyUses): number => versions + uploads;

async function entrySummary(
  metadata: Pick<Metadata, 'keyVersion'>,
  { name, bucketUid, bucket }: BucketEntry,
): Promise<BucketSummary> {
  if (!(bucket instanceof MetadataError)) return await summary(metadata, bucket);
  return {
    name,
    bucketId: bucketUid,
    state: 'Damaged',
    owner: null,
    encryption: null,
    kmsConnection: null,
    keyVersion: null,
    rotateEvery: null,
    nextRotationAt: null,
    createdAt: null,
  };
}

async function summary(
  metadata: Pick<Metadata, 'keyVersion'>,
  bucket: BucketDocument,
): Promise<BucketSummary> {
  const { bucketUid, keyVersion, rotateEveryMs } = bucket;
  const scheduled = keyVersion !== null && rotateEveryMs !== null;
  try {
    const current = scheduled ? await metadata.keyVersion(bucketUid, keyVersion) : null;
    return summaryOf(bucket, current === null ? [] : [current]);
  } catch (error) {
    // An edited row of a key hides no bucket.
    if (!(error instanceof MetadataError)) throw error;
    return summaryOf(bucket, []);
  }
}

/** `versions`: the current one must be among them for the next rotation to be told. */
function summaryOf(bucket: BucketDocument, versions: readonly KeyVersionDocument[]): BucketSummary {
  const { name, bucketUid, state, owner, encryption, kmsConnection, keyVersion, rotateEveryMs } = bucket;
  const current = versions.find(({ n }) => n === keyVersion);
  const sinceMs = current === undefined ? null : (current.rotation?.rotatedMs ?? current.reservedMs);
  return {
    name,
    bucketId: bucketUid,
    state,
    owner,
    encryption,
    kmsConnection,
    keyVersion,
    rotateEvery: rotateEveryMs === null ? null : ageText(rotateEveryMs),
    nextRotationAt: rotateEveryMs === null || sinceMs === null ? null : iso(sinceMs + rotateEveryMs),
    createdAt: iso(bucket.createdMs),
  };
}

function keyVersionReport(
  row: KeyVersionDocument,
  bucket: BucketDocument | null,
  uses: ReadonlyMap<number, KeyUses>,
): KeyVersionReport {
  const { bucketUid: bucketId, n, state, kmsConnection, kmsName, kmsId, reservedMs, rotation } = row;
  const rotatedMs = rotation?.rotatedMs ?? 0;
  return {
    bucketId,
    bucket: bucket?.name ?? null,
    n,
    state,
    kmsConnection,
    kmsName,
    kmsId,
    reservedAt: iso(reservedMs),
    rotatedAt: rotatedMs === 0 ? null : iso(rotatedMs),
    requestId: requestOf(row),
    uses: uses.get(n) ?? NO_USES,
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** The place after which a page begins, from the `next` of the page before. */
function position(after: string | null): { readonly bucketUid: Id; readonly n: number } | null {
  if (after === null) return null;
  const [, bucketUid, n] = /^([0-9a-f]{32})\/(\d{1,9})$/.exec(after) ?? [];
  if (bucketUid === undefined) throw new AdminError('InvalidArgument', 'after is not the next of a page');
  return { bucketUid, n: Number(n) };
}

/** The same calls, with the errors of the rooms below as AdminError. */
function translated(calls: KeyAdministration): KeyAdministration {
  const told = async <T>(call: Promise<T>): Promise<T> => await call.catch((error: unknown) => fail(error));
  const toldOfOne = async <T>(call: Promise<T>): Promise<T> => await told(call.catch(failIfEdited));
  return {
    buckets: (query) => told(calls.buckets(query)),
    bucket: (name) => toldOfOne(calls.bucket(name)),
    declare: (name, wish) => toldOfOne(calls.declare(name, wish)),
    remove: (name, wish) => toldOfOne(calls.remove(name, wish)),
    rotate: (name, request) => toldOfOne(calls.rotate(name, request)),
    reencrypt: (name) => toldOfOne(calls.reencrypt(name)),
    reencryption: (name) => toldOfOne(calls.reencryption(name)),
    setRotation: (name, everyMs) => toldOfOne(calls.setRotation(name, everyMs)),
    keys: (query) => told(calls.keys(query)),
    destroyKey: (bucketId, n) => toldOfOne(calls.destroyKey(bucketId, n)),
    connectionUse: (connection) => told(calls.connectionUse(connection)),
    epoch: () => told(calls.epoch()),
    takeEpoch: (holder) => told(calls.takeEpoch(holder)),
  };
}

/** Of a call about one bucket, whose own rows these are. */
function failIfEdited(cause: unknown): never {
  if (!(cause instanceof MetadataError && cause.code === 'Integrity')) throw cause;
  throw new AdminError('Damaged', `${cause.message}: sealgate verify tells what is damaged`, { cause });
}

function fail(cause: unknown): never {
  if (cause instanceof RotationError) {
    const refused = cause.code === 'Unfinished' || cause.code === 'Superseded';
    throw new AdminError(refused ? 'RotationConflict' : cause.code, cause.message, { cause });
  }
  if (cause instanceof BucketClaimError) {
    const code = cause.code === 'BeingMade' ? 'Conflict' : cause.code;
    throw new AdminError(code, cause.message, { cause });
  }
  if (cause instanceof KmsError) {
    if (cause.code === 'UnknownConnection')
      throw new AdminError('NoSuchConnection', cause.message, { cause });
    throw new AdminError(cause.code === 'Unavailable' ? 'KmsUnavailable' : 'KmsRefused', cause.message, {
      cause,
    });
  }
  if (cause instanceof MetadataError) {
    if (cause.code === 'NoSuchBucket') throw new AdminError('NoSuchBucket', cause.message, { cause });
    if (cause.code === 'NotEmpty') throw new AdminError('BucketNotEmpty', cause.message, { cause });
    if (cause.code === 'Conflict') throw new AdminError('Conflict', cause.message, { cause });
    if (cause.code === 'Busy' || cause.code === 'NoSpace')
      throw new AdminError('Busy', cause.message, { cause });
  }
  throw cause;
}
