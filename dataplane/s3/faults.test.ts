import { describe, expect, it } from 'vitest';
import { BlobError } from '../blobs/blobs.ts';
import { FormatError } from '../crypto/errors.ts';
import { KmsError } from '../keys/keys.ts';
import { MetadataError } from '../metadata/metadata.ts';
import type { S3Metrics } from '../monitoring/s3Metrics.ts';
import { S3Error } from './errors.ts';
import { isIntegrityFailure, toS3Error } from './faults.ts';

/** The error that a client is told, and the integrity failures that were counted for it. */
function told(error: unknown): { readonly error: S3Error; readonly counted: readonly string[] } {
  const counted: string[] = [];
  const metrics: S3Metrics = {
    requestStarted: () => undefined,
    requestFinished: () => undefined,
    encryptionHeadersRefused: () => undefined,
    integrityFailure: (subject) => {
      counted.push(subject);
    },
  };
  return { error: toS3Error(error, metrics), counted };
}

const SECRET = 'what went wrong inside';

describe('a failure of another room', () => {
  it.each([
    [new KmsError('Unavailable', SECRET), 503, 'ServiceUnavailable', 5],
    [new KmsError('UnknownConnection', SECRET), 503, 'ServiceUnavailable', 5],
    [new KmsError('AccessDenied', SECRET), 403, 'KMS.AccessDenied', undefined],
    [new KmsError('NotFound', SECRET), 400, 'KMS.NotFound', undefined],
    [new KmsError('InvalidState', SECRET), 400, 'KMS.InvalidState', undefined],
    [new KmsError('Conflict', SECRET), 500, 'InternalError', undefined],
    [new KmsError('Refused', SECRET), 500, 'InternalError', undefined],
    [new MetadataError('NoSuchBucket', SECRET), 404, 'NoSuchBucket', undefined],
    [new MetadataError('NotEmpty', SECRET), 409, 'BucketNotEmpty', undefined],
    [new MetadataError('NoSuchUpload', SECRET), 404, 'NoSuchUpload', undefined],
    [new MetadataError('PreconditionFailed', SECRET), 412, 'PreconditionFailed', undefined],
    [new MetadataError('Conflict', SECRET), 409, 'OperationAborted', undefined],
    [new MetadataError('SourceChanged', SECRET), 409, 'OperationAborted', undefined],
    [new MetadataError('UploadChanged', SECRET), 409, 'OperationAborted', undefined],
    [new MetadataError('Busy', SECRET), 503, 'SlowDown', 1],
    [new MetadataError('NoSpace', SECRET), 503, 'ServiceUnavailable', 5],
    [new MetadataError('Unavailable', SECRET), 503, 'ServiceUnavailable', 5],
    [new BlobError('NoSpace', SECRET), 503, 'ServiceUnavailable', 5],
    [new BlobError('NotFound', SECRET), 500, 'InternalError', undefined],
    [new Error(SECRET), 500, 'InternalError', undefined],
    [SECRET, 500, 'InternalError', undefined],
  ])('is told without its inside: %s is %i %s', (failure, status, code, retryAfterSeconds) => {
    const { error, counted } = told(failure);
    expect([error.status, error.code, error.retryAfterSeconds]).toEqual([status, code, retryAfterSeconds]);
    expect(error.message).not.toContain(SECRET);
    expect(error.cause).toBe(failure);
    expect(counted).toEqual([]);
  });

  it.each([
    [new FormatError('Integrity', SECRET), 'record', true],
    [new MetadataError('Integrity', SECRET), 'control', true],
    [new KmsError('KeyMismatch', SECRET), 'bucketKey', false],
  ])('that means altered bytes is 500 and counted: %s as %s', (failure, subject, isStored) => {
    const { error, counted } = told(failure);
    expect([error.status, error.code]).toEqual([500, 'InternalError']);
    expect(counted).toEqual([subject]);
    expect(isIntegrityFailure(failure)).toBe(isStored);
  });

  it('that is already the answer stays as it is', () => {
    const answer = new S3Error('NoSuchKey');
    expect(told(answer)).toEqual({ error: answer, counted: [] });
    expect(isIntegrityFailure(answer)).toBe(false);
  });
});
