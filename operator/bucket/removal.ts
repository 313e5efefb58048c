/**
 * What deleting an EncryptedBucket does to its bucket, its keys and its Secrets. Owns what must be confirmed and the
 * order: the bucket first, so that a deletion that waits takes nobody's access away; then keys, also while the bucket is
 * being purged; then Secrets.
 */
import type { EncryptedBucket } from '../../crds/encryptedbucket.ts';
import { type AdminApi, AdminApiError, isOutage, isRefusal } from '../admin/adminApi.ts';
import { FORCE_DELETE } from '../kube/kinds.ts';
import { isRefusedWrite } from '../kube/kubeApi.ts';
import type { AccessEntries } from './access/accessEntries.ts';
import type { DeletionView } from './bucketStatus.ts';
import { BEING_PURGED, bucketNameOf, type Declared, existingBucket, ownerOf } from './declaration.ts';

const CONFIRM = 'sealgate.io/confirm-destroy';

interface Waiting {
  readonly kind: 'Waits';
  readonly view: NonNullable<DeletionView>;
  readonly retryMs: number;
  /** What is with the bucket meanwhile; null: not known, so what was told of it stays. */
  readonly declared: Declared | null;
}

export type Removal = { readonly kind: 'Done' } | Waiting;

const SOON_MS = 2_000;
const OUTAGE_MS = 5_000;
/** Somebody empties it, and waits for the resource to go. */
const EMPTIED_MS = 10_000;
const LASTING_MS = 60_000;

const waits = (reason: NonNullable<DeletionView>['reason'], message: string, retryMs: number): Waiting => ({
  kind: 'Waits',
  view: { reason, message },
  retryMs,
  declared: null,
});

const DONE: Removal = { kind: 'Done' };
const UNREACHABLE = waits('DataPlaneUnreachable', 'No data-plane pod answers', OUTAGE_MS);

export interface RemovalContext {
  /** null: no pod runs. */
  readonly admin: AdminApi | null;
  readonly access: AccessEntries;
  /** The whole namespace is being deleted: its Secrets go with it, and the rights on them may be gone already. */
  readonly namespaceEnds: boolean;
}

/** Done: nothing hangs on the resource any more. May be repeated after any crash. */
export async function remove(
  { admin, access, namespaceEnds }: RemovalContext,
  bucket: EncryptedBucket,
  signal: AbortSignal,
): Promise<Removal> {
  const owner = ownerOf(bucket);
  const forced = bucket.metadata.annotations?.[FORCE_DELETE] === 'true';
  try {
    if (!forced) {
      const waiting = await removeBucket(admin, bucket, signal);
      const purges = waiting?.view.reason === 'Purging';
      // When the purge ends the name is free, and whoever takes it must not be read with our keys until the next look.
      if (purges && admin !== null) await access.revokeAll(admin, owner, signal);
      if (waiting !== null) return waiting;
    }
    if (admin === null) throw new AdminApiError('Unreachable', 0, 'no data-plane pod runs');
    await access.revokeAll(admin, owner, signal);
  } catch (error) {
    // A call that we ended ourselves looks like an outage too.
    signal.throwIfAborted();
    if (!isOutage(error)) throw error;
    // The documented way out when the data plane is gone for good: its keys are then nobody's any more.
    if (!forced) return UNREACHABLE;
  }
  if (namespaceEnds) return DONE;
  try {
    await access.removeSecrets(owner, bucket.metadata.namespace, signal);
  } catch (error) {
    if (!isRefusedWrite(error)) throw error;
    // By force it goes all the same: what the Secrets name opens nothing any more.
    if (!forced)
      return waits('SecretNotWritable', `An access Secret cannot be removed: ${error.message}`, LASTING_MS);
  }
  return DONE;
}

/** Null: the policy is carried out. */
async function removeBucket(
  admin: AdminApi | null,
  bucket: EncryptedBucket,
  signal: AbortSignal,
): Promise<Waiting | null> {
  const name = bucketNameOf(bucket);
  const { deletionPolicy } = bucket.spec;
  if (deletionPolicy === 'Retain') return null;
  if (deletionPolicy === 'Purge' && bucket.metadata.annotations?.[CONFIRM] !== name) {
    const waiting = waits(
      'ConfirmationRequired',
      `Deleting this resource destroys the bucket with all objects: annotate it with ${CONFIRM}=${name} to confirm`,
      LASTING_MS,
    );
    return admin === null ? waiting : await whileItWaits(admin, bucket, waiting, signal);
  }
  if (admin === null) return UNREACHABLE;
  const mode = deletionPolicy === 'Purge' ? 'purge' : 'ifEmpty';
  try {
    const state = await admin.deleteBucket(name, { mode, owner: ownerOf(bucket) }, signal);
    if (state === 'Gone') return null;
    const waiting = waits('Purging', 'The objects of the bucket are being deleted', SOON_MS);
    return { ...waiting, declared: BEING_PURGED };
  } catch (error) {
    if (!(error instanceof AdminApiError) || isOutage(error)) throw error;
    const waiting = judgeRefusal(error);
    return waiting?.view.reason === 'BucketNotEmpty'
      ? await whileItWaits(admin, bucket, waiting, signal)
      : waiting;
  }
}

/** The bucket is in use until somebody acts, so it is looked at. Null: it is another owner's, and nothing of ours to delete. */
async function whileItWaits(
  admin: AdminApi,
  bucket: EncryptedBucket,
  waiting: Waiting,
  signal: AbortSignal,
): Promise<Waiting | null> {
  try {
    const { own, isAnothers } = await existingBucket(admin, bucket, signal);
    if (isAnothers) return null;
    return own === null ? waiting : { ...waiting, declared: { kind: 'Serving', report: own, note: null } };
  } catch (error) {
    if (isOutage(error) || isRefusal(error, 'Damaged')) return waiting;
    throw error;
  }
}

/** Null: there is nothing of ours to delete. Throws what another try may settle. */
function judgeRefusal(error: AdminApiError): Waiting | null {
  switch (error.code) {
    // It was never made, or was taken over.
    case 'BucketNameTaken':
      return null;
    case 'BucketNotEmpty':
      return waits(
        'BucketNotEmpty',
        'The bucket still holds objects, and deletionPolicy is DeleteIfEmpty',
        EMPTIED_MS,
      );
    case 'Conflict':
    case 'StaleEpoch':
    case 'Unauthorized':
      throw error;
    default:
      if (error.status >= 500) throw error;
      return waits('DeletionRefused', `The data plane refuses: ${error.message}`, LASTING_MS);
  }
}
