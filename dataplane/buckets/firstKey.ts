/**
 * The first key of a bucket that names none: who makes it, and over which connection.
 *
 * Owns the claim. An attempt that nobody is making any more is resumed, so that no second key is made; over another
 * connection than the one that is wished for now, it may be given up: its KMS may be the very reason for the other wish.
 */
import type { Id, KeyVersionDocument } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { type KeyMaking, reserveKeyVersion, resumeAttempt } from './makeBucketKey.ts';
import { giveUp } from './rotateBucketKey.ts';

export interface FirstKey {
  readonly row: KeyVersionDocument;
  readonly attempt: 'fresh' | 'resumed';
}

export interface FirstKeyWish {
  readonly kmsConnection: string;
  /** What becomes of an unfinished attempt over another connection. */
  readonly otherConnection: 'resume' | 'giveUp';
  /** A request to rotate that is there already: a key that is made anew answers it. */
  readonly answers?: string | null;
}

/**
 * Reserves a name for the key, or takes over an unfinished attempt; null while another request is making the key. Rejects
 * with KmsError 'UnknownConnection' and MetadataError; 'Conflict' when the bucket has got its key since the caller saw it.
 */
export async function claimFirstKey(
  making: KeyMaking,
  bucketUid: Id,
  { kmsConnection, otherConnection, answers = null }: FirstKeyWish,
): Promise<FirstKey | null> {
  const versions = await making.metadata.keyVersions(bucketUid);
  if (versions.some(({ state }) => state === 'Current' || state === 'Readable'))
    throw new MetadataError('Conflict', 'the bucket has got its key meanwhile');
  const unfinished = versions.find(({ state }) => state === 'Creating');
  if (unfinished?.attempt === making.incarnation) return null;
  if (
    unfinished !== undefined &&
    (otherConnection === 'resume' || unfinished.kmsConnection === kmsConnection)
  ) {
    const row = await resumeAttempt(making, unfinished);
    return row === null ? null : { row, attempt: 'resumed' };
  }
  const n = Math.max(0, ...versions.map((version) => version.n)) + 1;
  // First of all: it throws where there is no such connection.
  const row = reserveKeyVersion(making, bucketUid, kmsConnection, { n, answers });
  try {
    if (unfinished !== undefined) await giveUp(making, unfinished);
    await making.metadata.putKeyVersion(row);
  } catch (error) {
    if (error instanceof MetadataError && error.code === 'Conflict') return null;
    throw error;
  }
  return { row, attempt: 'fresh' };
}
