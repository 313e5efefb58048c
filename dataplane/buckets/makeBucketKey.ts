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
  version: Partial<Pick<KeyVersionDocument, 'n' | 'revision' | 'rotation' | 'answers'>> = {},
): KeyVersionDocument {
  const { n = 1, revision = 0, rotation = null, answers = null } = version;
  const unique = randomBytes(8).toString('hex');
  return {
    bucketUid,
    n,
    revision,
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

/** From a release that failed to the next try; twice as long each time. */
const RELEASE_RETRY_MS = 100;
const LONGEST_RETRY_MS = 10_000;

/**
 * Gives an attempt back, so that a later request may resume it. What made the attempt fail (metadata that is busy or full)
 * may keep that off too: then it is repeated in the background for as long as the process lives, and until it is done the
 * key counts as being made. Rejects with defects only: the caller has an error of its own to tell.
 */
export async function releaseAttempt(
  making: KeyMaking,
  row: KeyVersionDocument,
  retryMs = RELEASE_RETRY_MS,
): Promise<void> {
  const { metadata, incarnation } = making;
  try {
    const stored = await metadata.keyVersion(row.bucketUid, row.n);
    if (stored === null || stored.attempt !== incarnation) return;
    await metadata.putKeyVersion({ ...stored, revision: stored.revision + 1, attempt: null });
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    // An edited row stays so, and a rotation is finished by whoever asks next, released or not.
    if (error.code === 'Integrity' || row.rotation !== null) return;
    const again = () => void releaseAttempt(making, row, Math.min(2 * retryMs, LONGEST_RETRY_MS));
    setTimeout(again, retryMs).unref();
  }
}

/** Does away with an attempt by `work`, or gives it back where that fails, so that it is resumed. */
export async function releaseUnless(
  making: KeyMaking,
  row: KeyVersionDocument,
  work: () => Promise<unknown>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof MetadataError)) throw error;
    await releaseAttempt(making, row);
  }
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
    if (certainlyNone) await releaseUnless(making, reserved, forget);
    else await releaseAttempt(making, reserved);
    throw error;
  }
}
