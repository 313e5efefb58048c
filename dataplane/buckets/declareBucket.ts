/**
 * Declares a bucket: makes it with its key, takes it over, or changes what differs from the declaration.
 *
 * Owns who may have a name. The owner is recorded in the transaction that creates the bucket, so that of two owners one
 * gets it. It must not be called for one name twice at once; dataplane/jobs sees to that.
 */
import type { BucketDocument, KeyVersionDocument } from '../metadata/metadata.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { BucketClaimError, requireOwner } from './bucketClaim.ts';
import { beginCreation, claimCreation, finishCreation } from './createBucket.ts';
import { claimFirstKey, type FirstKeyWish } from './firstKey.ts';
import { isBare } from './isBare.ts';
import { type KeyMaking, makeBucketKey, releaseAttempt, releaseUnless } from './makeBucketKey.ts';
import { giveUp } from './rotateBucketKey.ts';

export interface Declaration {
  readonly name: string;
  /** namespace/name of the resource. */
  readonly owner: string;
  /** S3's owner. */
  readonly ownerId: string;
  readonly region: string;
  readonly kmsConnection: string;
  readonly rotateEveryMs: number | null;
  /** A request to rotate that is there already: a first key that is made now answers it; one that exists does not. */
  readonly answers: string | null;
  /** Takes over a bucket that this owner does not own, if it is encrypted or empty. */
  readonly adopt: boolean;
}

const ATTEMPTS = 8;

/**
 * Resolves to the bucket as it is stored; nothing is written when nothing differs. An existing key version stays, whatever
 * connection is declared. Rejects with BucketClaimError, KmsError (what is unfinished is resumed) and MetadataError.
 */
export async function declareBucket(making: KeyMaking, wish: Declaration): Promise<BucketDocument> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const existing = (await making.metadata.bucket(wish.name)) ?? (await create(making, wish));
      return await settle(making, wish, existing);
    } catch (error) {
      // Changed over S3 meanwhile, or gone: what is there now decides.
      const raced =
        error instanceof MetadataError && (error.code === 'Conflict' || error.code === 'NoSuchBucket');
      if (!raced || attempt === ATTEMPTS) throw error;
    }
  }
}

async function create(making: KeyMaking, wish: Declaration): Promise<BucketDocument> {
  const { name, ownerId, region, kmsConnection, owner, rotateEveryMs, answers } = wish;
  const declared = { owner, rotateEveryMs, kmsConnection, answers };
  const taken = await beginCreation(making, { name, ownerId, region, kmsConnection, declared });
  const bucket = taken ?? (await making.metadata.bucket(name));
  if (bucket === null) throw new MetadataError('NoSuchBucket', `bucket ${name} is gone`);
  return bucket;
}

async function settle(
  making: KeyMaking,
  wish: Declaration,
  existing: BucketDocument,
): Promise<BucketDocument> {
  const { name, owner, ownerId, kmsConnection, rotateEveryMs, answers } = wish;
  const firstKey: FirstKeyWish = { kmsConnection, otherConnection: 'giveUp', answers };
  if (!wish.adopt) requireOwner(existing, owner);
  if (existing.state === 'Deleting')
    throw new BucketClaimError('BucketDeleting', `bucket ${name} is being purged`);
  const wanted: BucketDocument = {
    ...existing,
    owner,
    ownerId,
    kmsConnection,
    rotateEveryMs,
    encryption: 'AES256',
  };
  if (existing.state === 'Creating') {
    const claimed = await claimCreation(making, existing, firstKey);
    if (claimed === null) throw beingMade(name);
    return await finishCreation(making, wanted, claimed);
  }
  // Throws where there is no such connection.
  if (existing.kmsConnection !== kmsConnection) making.keyNamePrefix(kmsConnection);
  if (existing.encryption === null) return await encryptEmpty(making, wanted, firstKey);
  if (!differs(existing, wanted)) return existing;
  const changed = { ...wanted, revision: existing.revision + 1 };
  await making.metadata.updateBucket(changed);
  return changed;
}

function differs(a: BucketDocument, b: BucketDocument): boolean {
  return (
    a.owner !== b.owner ||
    a.ownerId !== b.ownerId ||
    a.kmsConnection !== b.kmsConnection ||
    a.rotateEveryMs !== b.rotateEveryMs
  );
}

/** Adopts a bucket that is not encrypted: it must be empty, and from then on nothing plain is committed into it. */
async function encryptEmpty(
  making: KeyMaking,
  wanted: BucketDocument,
  firstKey: FirstKeyWish,
): Promise<BucketDocument> {
  const { metadata } = making;
  const { name, bucketUid } = wanted;
  if (!(await isBare(metadata, bucketUid))) throw notEncryptable(name);
  const encrypted = { ...wanted, revision: wanted.revision + 1, everPlain: false };
  try {
    if (wanted.keyVersion !== null) {
      await metadata.updateBucket(encrypted, [], true);
      return encrypted;
    }
    const claimed = await claimFirstKey(making, bucketUid, firstKey);
    if (claimed === null) throw beingMade(name);
    const release = () => releaseAttempt(making, claimed.row);
    const made = await makeBucketKey(making, claimed.row, claimed.attempt, release);
    const withKey = { ...encrypted, keyVersion: made.n };
    try {
      await metadata.updateBucket(withKey, [made], true);
    } catch (error) {
      const refused = error instanceof MetadataError && error.code === 'NotEmpty';
      await (refused ? releaseUnless(making, made, () => giveUpUnused(making, made)) : release());
      throw error;
    }
    return withKey;
  } catch (error) {
    if (error instanceof MetadataError && error.code === 'NotEmpty') throw notEncryptable(name, error);
    throw error;
  }
}

/** The key of an adoption that is refused: whoever encrypts the bucket next did not ask for one over this connection. */
async function giveUpUnused(making: KeyMaking, { bucketUid, n }: KeyVersionDocument): Promise<void> {
  const stored = await making.metadata.keyVersion(bucketUid, n);
  // No request is answered with it.
  if (stored !== null) await giveUp(making, { ...stored, answers: null });
}

function beingMade(name: string): BucketClaimError {
  return new BucketClaimError('BeingMade', `the key of bucket ${name} is being made over S3`);
}

function notEncryptable(name: string, cause?: Error): BucketClaimError {
  return new BucketClaimError(
    'NotEncryptable',
    `bucket ${name} is not encrypted and holds objects or open uploads, which would stay plain: encrypt it over S3 and rewrite them, or empty it`,
    { cause },
  );
}
