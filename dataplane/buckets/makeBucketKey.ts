/**
 * Makes the key of one key version in the KMS, step by step, each step recorded before the next: Create is not
 * idempotent, so after an unfinished attempt the unique name is looked for before anything is created again.
 */
import { randomBytes } from 'node:crypto';
import { type KeyProvider, KmsError } from '../keys/keys.ts';
import type { Id, KeyVersionDocument, Metadata } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';

export interface KeyMaking {
  readonly metadata: Metadata;
  readonly keys: KeyProvider;
  /** This process's life: an attempt of another one has ended. */
  readonly incarnation: Id;
  now(): number;
  /** First part of the unique names of keys made over that connection. */
  keyNamePrefix(connection: string): string;
}

/** The row that reserves the unique name of a version of a bucket's key: the first, or the one that a rotation makes. */
export function reserveKeyVersion(
  making: KeyMaking,
  bucketUid: Id,
  kmsConnection: string,
  version: Partial<Pick<KeyVersionDocument, 'n' | 'rotation' | 'answers'>> = {},
): KeyVersionDocument {
  const { n = 1, rotation = null, answers = null } = version;
  const unique = randomBytes(8).toString('hex');
  return {
    bucketUid,
    n,
    revision: 0,
    kmsConnection,
    kmsName: `${making.keyNamePrefix(kmsConnection)}-${bucketUid}-v${n}-${unique}`,
    kmsId: null,
    keyCheckValue: null,
    state: 'Creating',
    reservedMs: making.now(),
    attempt: making.incarnation,
    rotation,
    answers,
  };
}

/** Takes over an attempt that nobody is making any more; null while one is under way. */
export async function resumeAttempt(
  making: KeyMaking,
  row: KeyVersionDocument,
): Promise<KeyVersionDocument | null> {
  if (row.attempt === making.incarnation) return null;
  const mine: KeyVersionDocument = { ...row, revision: row.revision + 1, attempt: making.incarnation };
  try {
    await making.metadata.putKeyVersion(mine);
    return mine;
  } catch (error) {
    if (error instanceof MetadataError && error.code === 'Conflict') return null;
    throw error;
  }
}

/** Gives an attempt back, so that a later request may resume it. */
export async function releaseAttempt(making: KeyMaking, row: KeyVersionDocument): Promise<void> {
  const stored = await making.metadata.keyVersion(row.bucketUid, row.n);
  if (stored === null || stored.attempt !== making.incarnation) return;
  await making.metadata.putKeyVersion({ ...stored, revision: stored.revision + 1, attempt: null });
}

/**
 * Makes (or finishes making) the key and resolves to the row that names it, state Current, still to be committed
 * together with the bucket that uses it. When it fails the attempt is released; when it is certain that no key was
 * made, `forget` is called instead.
 */
export async function makeBucketKey(
  making: KeyMaking,
  reserved: KeyVersionDocument,
  attempt: 'fresh' | 'resumed',
  forget: () => Promise<void>,
): Promise<KeyVersionDocument> {
  const { keys, metadata } = making;
  const { kmsConnection, kmsName } = reserved;
  let row = reserved;
  try {
    if (row.kmsId === null) {
      const located =
        attempt === 'resumed' ? await keys.locateKey(kmsConnection, kmsName, row.reservedMs) : null;
      const kmsId = located?.kmsId ?? (await keys.createKey(kmsConnection, kmsName));
      row = { ...row, revision: row.revision + 1, kmsId };
      await metadata.putKeyVersion(row);
    }
    const keyCheckValue = await keys.activateKey(kmsConnection, row.kmsId ?? '');
    return { ...row, revision: row.revision + 1, keyCheckValue, state: 'Current', attempt: null };
  } catch (error) {
    const certainlyNone =
      attempt === 'fresh' && row.kmsId === null && error instanceof KmsError && !error.maybeDone;
    if (certainlyNone) await forget();
    else await releaseAttempt(making, reserved);
    throw error;
  }
}
