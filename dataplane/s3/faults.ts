/** From what went wrong in another room to what the S3 client is told, and what is counted. */
import { BlobError } from '../blobs/blobs.ts';
import { FormatError } from '../crypto/errors.ts';
import { KmsError } from '../keys/keys.ts';
import { MetadataError } from '../metadata/metadata.ts';
import type { S3Metrics } from '../monitoring/s3Metrics.ts';
import { type DamagedPlace, DamageError } from '../objects/damage.ts';
import { S3Error } from './errors.ts';

/** Seconds that a client should wait when the KMS, the disk or the writer cannot serve it now. */
const RETRY_AFTER_SECONDS = 5;

/** The S3 error of any failure. Counts integrity failures: nothing else may map them. */
export function toS3Error(error: unknown, metrics: S3Metrics): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof KmsError) return fromKms(error, metrics);
  if (error instanceof MetadataError) return fromMetadata(error, metrics);
  if (error instanceof FormatError) {
    // Without a place it is a row that only a listing reads.
    metrics.integrityFailure(damagedPlace(error)?.subject ?? 'record');
    return new S3Error('InternalError', undefined, { cause: error });
  }
  if (error instanceof BlobError && error.code !== 'NotFound') return unavailable(error);
  return new S3Error('InternalError', undefined, { cause: error });
}

/** True for failures that mean: stored bytes or rows are not what was written. */
export function isIntegrityFailure(error: unknown): boolean {
  if (error instanceof FormatError) return true;
  return error instanceof MetadataError && error.code === 'Integrity';
}

/** Where the damage is that this error tells of; null for all other errors. */
export function damagedPlace(error: unknown): DamagedPlace | null {
  return error instanceof DamageError ? error.place : null;
}

function unavailable(cause: Error): S3Error {
  return new S3Error('ServiceUnavailable', undefined, { cause, retryAfterSeconds: RETRY_AFTER_SECONDS });
}

function fromKms(error: KmsError, metrics: S3Metrics): S3Error {
  switch (error.code) {
    case 'Unavailable':
      return new S3Error('ServiceUnavailable', 'The KMS cannot be reached and no usable key is cached.', {
        cause: error,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    case 'AccessDenied':
      return new S3Error('KMS.AccessDenied', undefined, { cause: error });
    case 'NotFound':
      return new S3Error('KMS.NotFound', undefined, { cause: error });
    case 'InvalidState':
      return new S3Error('KMS.InvalidState', undefined, { cause: error });
    case 'KeyMismatch':
      metrics.integrityFailure('bucketKey');
      return new S3Error('InternalError', undefined, { cause: error });
    case 'UnknownConnection':
      return new S3Error('ServiceUnavailable', 'The KMS connection of this bucket is not configured.', {
        cause: error,
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    case 'Conflict':
    case 'Refused':
      return new S3Error('InternalError', undefined, { cause: error });
  }
}

function fromMetadata(error: MetadataError, metrics: S3Metrics): S3Error {
  switch (error.code) {
    case 'NoSuchBucket':
      return new S3Error('NoSuchBucket', undefined, { cause: error });
    case 'NotEmpty':
      return new S3Error('BucketNotEmpty', undefined, { cause: error });
    case 'NoSuchUpload':
      return new S3Error('NoSuchUpload', undefined, { cause: error });
    case 'PreconditionFailed':
      return new S3Error('PreconditionFailed', undefined, { cause: error });
    case 'Conflict':
    case 'SourceChanged':
    case 'UploadChanged':
    case 'KeyRetired':
      return new S3Error('OperationAborted', undefined, { cause: error });
    case 'Busy':
      return new S3Error('SlowDown', undefined, { cause: error, retryAfterSeconds: 1 });
    case 'NoSpace':
    case 'Unavailable':
      return unavailable(error);
    case 'Integrity':
      metrics.integrityFailure('control');
      return new S3Error('InternalError', undefined, { cause: error });
  }
}
