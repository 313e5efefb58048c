/**
 * Declares a bucket to the data plane and classes what comes of it. Owns which calls are made and when a bucket that
 * exists goes on as it is.
 */
import { createHash } from 'node:crypto';
import type { EncryptedBucket } from '../../crds/encryptedbucket.ts';
import type { BucketReport, DeclareBucket } from '../../dataplane/admin/schema/buckets.ts';
import { type AdminApi, AdminApiError, isOutage, isRefusal } from '../admin/adminApi.ts';
import { keyOf, keyText } from '../kube/paths.ts';
import type { ReasonOf } from './reasons.ts';
import { connectionOf } from './references.ts';

const ROTATE_KEY = 'sealgate.io/rotate-key';

/** `namespace/name` of the resource: whom the data plane knows as the owner of bucket and access keys. */
export const ownerOf = (bucket: EncryptedBucket): string => keyText(keyOf(bucket));

/** The name of the bucket: immutable, and by default that of the resource. */
export const bucketNameOf = ({ metadata, spec }: EncryptedBucket): string => spec.bucketName ?? metadata.name;

/** What is to be said of the key although it works. */
export interface KeyNote {
  readonly reason: 'RefWithdrawn' | 'ConnectionNotReady' | 'RotationPending';
  readonly message: string;
}

interface Failure {
  readonly message: string;
  readonly retryMs: number;
  /** The bucket of this name is another owner's, who would not want it to be read with our keys. */
  readonly isAnothers: boolean;
}

export type Declared =
  /** The bucket is there and ours. */
  | {
      readonly kind: 'Serving';
      readonly report: BucketReport;
      readonly note: KeyNote | null;
    }
  | (Failure & { readonly kind: 'KeyFailed'; readonly reason: ReasonOf<'KeyReady'> })
  | (Failure & { readonly kind: 'BucketFailed'; readonly reason: ReasonOf<'BucketReady'> })
  /** The data plane could not be asked. */
  | { readonly kind: 'Outage' };

const keyFailed = (reason: ReasonOf<'KeyReady'>, message: string, retryMs: number): Declared => ({
  kind: 'KeyFailed',
  reason,
  message,
  retryMs,
  isAnothers: false,
});
const bucketFailed = (reason: ReasonOf<'BucketReady'>, message: string, retryMs: number): Declared => ({
  kind: 'BucketFailed',
  reason,
  message,
  retryMs,
  isAnothers: reason === 'BucketNameTaken' || reason === 'BucketTakenOver',
});

const SOON_MS = 2_000;
const OUTAGE_MS = 15_000;
const LASTING_MS = 60_000;

export const BEING_PURGED = bucketFailed(
  'BeingPurged',
  'A bucket of this name is still being purged',
  OUTAGE_MS,
);
const NAME_TAKEN = 'A bucket of this name belongs to another resource, or was made over S3';
const TAKEN_OVER = 'The bucket of this name belongs to another resource by now, or was made over S3';
const DAMAGED = bucketFailed('Damaged', 'The record of the bucket failed its authentication', LASTING_MS);

/** Brings the data plane to the declaration. Rejects only for what another try may settle. */
export async function declare(
  admin: AdminApi,
  bucket: EncryptedBucket,
  permitted: boolean,
  signal: AbortSignal,
): Promise<Declared> {
  try {
    if (!permitted) return await withdrawn(admin, bucket, signal);
    const declared = await declarePermitted(admin, bucket, signal);
    return declared.kind === 'Serving' && declared.note === null
      ? await rotateIfAsked(admin, bucket, declared.report, signal)
      : declared;
  } catch (error) {
    if (isOutage(error)) return { kind: 'Outage' };
    if (isRefusal(error, 'Damaged')) return DAMAGED;
    throw error;
  }
}

async function declarePermitted(
  admin: AdminApi,
  bucket: EncryptedBucket,
  signal: AbortSignal,
): Promise<Declared> {
  const name = bucketNameOf(bucket);
  const kmsConnection = keyText(connectionOf(bucket));
  try {
    const report = await admin.declareBucket(
      name,
      {
        owner: ownerOf(bucket),
        encryption: bucket.spec.encryption,
        kmsConnection,
        keyRotation: bucket.spec.keyRotation ?? null,
        adopt: mayAdopt(bucket),
        ...known(bucket),
      },
      signal,
    );
    return judgeReport(report);
  } catch (error) {
    const refused = error instanceof AdminApiError && !isOutage(error) ? judgeRefusal(error, bucket) : null;
    if (refused === null) throw error;
    if (refused.kind !== 'KeyFailed') return refused;
    // What is wrong is the connection, and that is told there: a bucket that has its key goes on as it is.
    const { own: existing, isAnothers } = await existingBucket(admin, bucket, signal);
    if (existing === null) return { ...refused, isAnothers };
    const note: KeyNote | null =
      existing.kmsConnection === kmsConnection
        ? null
        : {
            reason: 'ConnectionNotReady',
            message: `The bucket works; its next key version cannot be made over ${kmsConnection} yet: ${refused.message}`,
          };
    return { kind: 'Serving', report: existing, note };
  }
}

/**
 * Whether a bucket of another owner may be taken over: only by a resource that never had one. The admission policy asks
 * for the right to adopt when the field is set, and not again; a resource that could adopt a second time would take its
 * bucket back from the next owner at any change that somebody without that right makes.
 */
const mayAdopt = ({ spec, status }: EncryptedBucket): boolean => spec.adopt && status.bucketUID === undefined;

/**
 * A request to rotate that stood there before the bucket is none: its first key is as new as it can be. A data plane before
 * this field does not take it, so only a bucket that has not been seen yet is declared with it.
 */
function known(bucket: EncryptedBucket): Pick<DeclareBucket, 'requestId'> {
  const requestId = bucket.status.bucketUID === undefined ? rotationAsked(bucket) : null;
  return requestId === null ? {} : { requestId };
}

function judgeReport(report: BucketReport): Declared {
  if (report.state === 'Ready') return { kind: 'Serving', report, note: null };
  if (report.state === 'Creating')
    return keyFailed('Creating', 'The key of the bucket is being made', SOON_MS);
  if (report.state === 'Deleting') return BEING_PURGED;
  return DAMAGED;
}

/** Null: nothing that a condition should tell; trying again is all. */
function judgeRefusal(
  { code, message, status }: AdminApiError,
  { status: shown }: EncryptedBucket,
): Declared | null {
  switch (code) {
    // Words of our own: the data plane's name the owner, and one tenant has not to know another's resources.
    case 'BucketNameTaken':
      return shown.bucketUID === undefined
        ? bucketFailed('BucketNameTaken', NAME_TAKEN, LASTING_MS)
        : bucketFailed('BucketTakenOver', TAKEN_OVER, LASTING_MS);
    case 'NotEncryptable':
      return bucketFailed('AdoptRefused', sentence(message), LASTING_MS);
    case 'BucketDeleting':
      return BEING_PURGED;
    case 'NoSuchConnection':
      return keyFailed(
        'ConnectionNotReady',
        'The data plane does not have the KMS connection in force',
        OUTAGE_MS,
      );
    case 'KmsUnavailable':
      return keyFailed('KmsUnavailable', sentence(message), OUTAGE_MS);
    case 'KmsRefused':
      return keyFailed('KmsRefused', sentence(message), LASTING_MS);
    case 'Damaged':
      return DAMAGED;
    case 'Conflict':
    case 'StaleEpoch':
    case 'Unauthorized':
      return null;
    default:
      return status >= 400 && status < 500
        ? bucketFailed('DeclarationRefused', sentence(message), LASTING_MS)
        : null;
  }
}

const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

/** The bucket as it is. `own`: null unless it is this resource's and has its key. */
export async function existingBucket(
  admin: AdminApi,
  bucket: EncryptedBucket,
  signal: AbortSignal,
): Promise<{ readonly own: BucketReport | null; readonly isAnothers: boolean }> {
  const report = await admin.bucket(bucketNameOf(bucket), signal);
  // Of a damaged one the owner is not told.
  if (report === null || report.state === 'Damaged') return { own: null, isAnothers: false };
  if (report.owner !== ownerOf(bucket)) return { own: null, isAnothers: true };
  return { own: report.state === 'Ready' ? report : null, isAnothers: false };
}

/** Without the right reference nothing new is made: no bucket, and no key version by request or by schedule. */
async function withdrawn(admin: AdminApi, bucket: EncryptedBucket, signal: AbortSignal): Promise<Declared> {
  const { own, isAnothers } = await existingBucket(admin, bucket, signal);
  if (own === null) {
    const message = 'The KMSConnection does not exist, or does not permit this namespace';
    return { kind: 'KeyFailed', reason: 'RefNotPermitted', message, retryMs: LASTING_MS, isAnothers };
  }
  let report = own;
  if (report.rotateEvery !== null && report.kmsConnection !== null) {
    const declaration = {
      owner: ownerOf(bucket),
      encryption: bucket.spec.encryption,
      kmsConnection: report.kmsConnection,
      keyRotation: null,
    };
    try {
      report = await admin.declareBucket(bucketNameOf(bucket), declaration, signal);
    } catch (error) {
      // Without the connection the schedule makes no key either.
      if (!isRefusal(error, 'NoSuchConnection')) throw error;
    }
  }
  const note: KeyNote = {
    reason: 'RefWithdrawn',
    message:
      'The bucket works with the keys that it has; the KMSConnection does not exist or does not permit this namespace any more, so no key version is made',
  };
  return { kind: 'Serving', report, note };
}

/**
 * Names one request to rotate for ever: made of the resource's name, never of a UID, which a restore changes. null: none
 * is asked for.
 */
function rotationAsked(bucket: EncryptedBucket): string | null {
  const value = bucket.metadata.annotations?.[ROTATE_KEY] ?? '';
  if (value === '') return null;
  return createHash('sha256')
    .update(`rotate-key\n${ownerOf(bucket)}\n${value}`)
    .digest('hex');
}

/** Whether the key of that request was made: one that is only begun may need to be asked for again, over a new connection say. */
function isAnswered({ keyVersions }: BucketReport, requestId: string): boolean {
  // The newest: one that was given up for another connection may stand before it.
  const [newest] = keyVersions
    .filter((version) => version.requestId === requestId)
    .toSorted((a, b) => b.n - a.n);
  return newest !== undefined && newest.state !== 'Creating';
}

async function rotateIfAsked(
  admin: AdminApi,
  bucket: EncryptedBucket,
  report: BucketReport,
  signal: AbortSignal,
): Promise<Declared> {
  const requestId = rotationAsked(bucket);
  if (requestId === null || isAnswered(report, requestId)) return { kind: 'Serving', report, note: null };
  const name = bucketNameOf(bucket);
  try {
    await admin.rotateBucket(name, requestId, signal);
    const after = await admin.bucket(name, signal);
    return { kind: 'Serving', report: after ?? report, note: null };
  } catch (error) {
    const waits = isRefusal(error, 'KmsUnavailable', 'KmsRefused', 'RotationConflict', 'NoSuchConnection');
    if (!waits) throw error;
    const message = `The bucket works; the rotation that was asked for waits: ${error.message}`;
    return { kind: 'Serving', report, note: { reason: 'RotationPending', message } };
  }
}
