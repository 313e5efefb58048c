/**
 * Rotation of a bucket's key: makes the next key version in a KMS, makes it the current one, and leaves the version
 * before it readable (docs/format.md, "Rotation"). What is stored is sealed anew by the rewrap job, not here.
 *
 * Owns the order of steps, each of which may be the last before a crash: the row reserves the unique key name, the key
 * is made, one transaction exchanges the versions. An unfinished rotation is finished by whoever asks for the bucket
 * next. Calls for one bucket must not overlap; dataplane/jobs sees to that.
 */
import type { BucketDocument, Id, KeyVersionDocument } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { type KeyMaking, makeBucketKey, releaseAttempt, reserveKeyVersion } from './makeBucketKey.ts';

const COMMIT_ATTEMPTS = 8;

export interface RotationRequest {
  /** The same id again gives the same key version again; null: the schedule asks. */
  readonly requestId: string | null;
  /** null: the declared connection, or else that of the current version. */
  readonly toConnection: string | null;
}

type RotationRefusal =
  | 'NoSuchBucket'
  /** The bucket never had a key. */
  | 'NotEncrypted'
  /** Another request's rotation over the same connection is not finished; it is tried again by itself. */
  | 'Unfinished'
  /** The key of this request was given up for one over another connection. */
  | 'Superseded';

export class RotationError extends Error {
  readonly code: RotationRefusal;
  constructor(code: RotationRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RotationError';
    this.code = code;
  }
}

/**
 * Rotates and resolves to the new current version, or to the one that this request made before. Rejects with
 * RotationError, KmsError (the rotation may be left unfinished) and MetadataError.
 */
export async function rotateBucketKey(
  making: KeyMaking,
  name: string,
  { requestId, toConnection }: RotationRequest,
): Promise<KeyVersionDocument> {
  const bucket = await making.metadata.bucket(name);
  if (bucket === null || bucket.state !== 'Ready') throw noSuchBucket(name);
  const versions = await making.metadata.keyVersions(bucket.bucketUid);
  const current = versions.find(({ n }) => n === bucket.keyVersion);
  if (current === undefined) throw new RotationError('NotEncrypted', `bucket ${name} has no key to rotate`);

  // The newest: one that was given up for another connection may stand before it.
  const asked =
    requestId === null ? undefined : versions.findLast((version) => requestOf(version) === requestId);
  if (asked !== undefined && asked.state !== 'Creating') {
    if (asked.keyCheckValue !== null) return asked;
    throw new RotationError('Superseded', `the rotation ${requestId} was given up for another connection`);
  }
  const connection = toConnection ?? bucket.kmsConnection ?? current.kmsConnection;
  const unfinished = versions.find(({ state, n }) => state === 'Creating' && n > current.n);
  if (unfinished !== undefined) {
    const anywhere = toConnection !== null || bucket.kmsConnection === null;
    const mine = unfinished === asked || (requestId === null && toConnection === null);
    const same = mine && (anywhere || unfinished.kmsConnection === connection);
    if (same) return await finishRotation(making, bucket, unfinished);
    if (unfinished.kmsConnection === connection) {
      throw new RotationError(
        'Unfinished',
        `an earlier rotation of ${name} over ${connection} is not finished; it is tried again by itself`,
      );
    }
  }
  const rotation = { requestId, rotatedMs: 0 };
  // Before anything is given up for it: it throws where there is no such connection.
  const row = reserveKeyVersion(making, bucket.bucketUid, connection, { ...nextPlace(versions), rotation });
  if (unfinished !== undefined) await giveUp(making, unfinished);
  await making.metadata.putKeyVersion(row);
  return await make(making, bucket, row, 'fresh');
}

/** The number of the next key version; that of the newest one where it never had a key, and answers no request. */
function nextPlace(versions: readonly KeyVersionDocument[]): {
  readonly n: number;
  readonly revision: number;
} {
  const newest = versions.reduce((a, b) => (a.n > b.n ? a : b));
  const { n, revision, state, kmsId, rotation } = newest;
  const unused = state === 'Destroyed' && kmsId === null && rotation?.requestId === null;
  return unused ? { n, revision: revision + 1 } : { n: n + 1, revision: 0 };
}

/** The request that a key version answers: the one that made it, or one that was known when the first was made. */
export function requestOf({ rotation, answers }: KeyVersionDocument): string | null {
  return rotation === null ? answers : rotation.requestId;
}

/** Finishes a rotation whose maker is gone; nobody else may be making it. Rejects as rotateBucketKey does. */
export async function finishRotation(
  making: KeyMaking,
  bucket: BucketDocument,
  row: KeyVersionDocument,
): Promise<KeyVersionDocument> {
  const mine = { ...row, revision: row.revision + 1, attempt: making.incarnation };
  await making.metadata.putKeyVersion(mine);
  return await make(making, bucket, mine, 'resumed');
}

/**
 * Gives up a key version that nobody will finish: its key, if there is one, is looked for by its name and revoked like
 * any other that nothing refers to.
 */
export async function giveUp(
  making: Pick<KeyMaking, 'metadata'>,
  row: KeyVersionDocument,
): Promise<KeyVersionDocument> {
  const given = { ...row, revision: row.revision + 1, state: 'Retiring', attempt: null } as const;
  await making.metadata.putKeyVersion(given);
  return given;
}

async function make(
  making: KeyMaking,
  bucket: BucketDocument,
  row: KeyVersionDocument,
  attempt: 'fresh' | 'resumed',
): Promise<KeyVersionDocument> {
  const made = await makeBucketKey(making, row, attempt, async () => {
    // No key was made for certain, and the request may be repeated. The row stays until the next rotation takes it over.
    const rotation = { requestId: null, rotatedMs: 0 };
    const revision = row.revision + 1;
    await making.metadata.putKeyVersion({ ...row, revision, state: 'Destroyed', attempt: null, rotation });
  });
  const mark = { requestId: row.rotation?.requestId ?? null, rotatedMs: making.now() };
  try {
    await exchange(making, bucket, { ...made, rotation: mark });
  } catch (error) {
    await releaseAttempt(making, made);
    throw error;
  }
  return { ...made, rotation: mark };
}

/** Makes the new version current and the one before it readable, in one transaction, on the newest bucket document. */
async function exchange(making: KeyMaking, bucket: BucketDocument, made: KeyVersionDocument): Promise<void> {
  const { metadata } = making;
  for (let attempt = 1; ; attempt += 1) {
    const newest = await metadata.bucket(bucket.name);
    if (newest?.bucketUid !== bucket.bucketUid || newest.state !== 'Ready') throw noSuchBucket(bucket.name);
    const before = await currentVersion(making, newest);
    const readable = { ...before, revision: before.revision + 1, state: 'Readable' } as const;
    try {
      await metadata.updateBucket({ ...newest, revision: newest.revision + 1, keyVersion: made.n }, [
        made,
        readable,
      ]);
      return;
    } catch (error) {
      const raced = error instanceof MetadataError && error.code === 'Conflict';
      if (!raced || attempt === COMMIT_ATTEMPTS) throw error;
    }
  }
}

async function currentVersion(
  making: KeyMaking,
  { bucketUid, keyVersion }: { readonly bucketUid: Id; readonly keyVersion: number | null },
): Promise<KeyVersionDocument> {
  const row = keyVersion === null ? null : await making.metadata.keyVersion(bucketUid, keyVersion);
  if (row === null) throw new MetadataError('Integrity', `bucket ${bucketUid} lost its current key version`);
  return row;
}

function noSuchBucket(name: string): RotationError {
  return new RotationError('NoSuchBucket', `there is no bucket ${name}`);
}
