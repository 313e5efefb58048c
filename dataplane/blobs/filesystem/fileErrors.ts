/** What errors of the filesystem mean to users of blobs. */
import { BlobError } from '../blobs.ts';

/** The system's name of an error ('ENOENT'), or null for other errors. */
export function errnoOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

export function isNoSpace(error: unknown): boolean {
  const code = errnoOf(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

export function asBlobError(error: unknown, message: string): BlobError {
  if (error instanceof BlobError) return error;
  if (isNoSpace(error)) return new BlobError('NoSpace', 'the blob disk is full', { cause: error });
  return new BlobError('Unavailable', message, { cause: error });
}
