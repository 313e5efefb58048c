/**
 * Brings an EncryptedBucket to what is declared: the bucket with its key in the data plane, a Secret for each access
 * entry, and its state into its status; at its end what its deletion policy says.
 *
 * Owns the order of these steps. It speaks to no KMS, and looks at no other bucket: what one costs does not grow with
 * their number.
 */
import { type EncryptedBucket, parseEncryptedBucket } from '../../crds/encryptedbucket.ts';
import { type AdminApi, isOutage } from '../admin/adminApi.ts';
import type { Fleet } from '../admin/fleetPods.ts';
import { backoffMs, type Random } from '../clock.ts';
import { ENCRYPTED_BUCKET, FINALIZER } from '../kube/kinds.ts';
import type { Cache } from '../kube/kubeApi.ts';
import { keyOf, keyText } from '../kube/paths.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from '../runtime/finalizer.ts';
import { type Judgement, nextConditions, recordTransitions } from '../runtime/judgement.ts';
import { readLeaving } from '../runtime/leaving.ts';
import type { EventRecorder, ReconcileResult, Reconciler } from '../runtime/reconciler.ts';
import { StatusWriter } from '../runtime/status.ts';
import { AccessEntries, type AccessOutcome } from './access/accessEntries.ts';
import type { EndpointFacts } from './access/accessSecret.ts';
import type { AccessDeps } from './access/entry.ts';
import { bucketConditions, type DeletionView, deletionBlocked, servingFacts } from './bucketStatus.ts';
import { bucketNameOf, type Declared, declare, ownerOf } from './declaration.ts';
import { isReferencePermitted, type ReferenceCaches } from './references.ts';
import { remove } from './removal.ts';

const LOOK_MS = 5 * 60_000;
const REWRAP_MS = 30_000;
const OUTAGE_MS = 5_000;
const NOTE_MS = 30_000;
const SYNC_MS = 1_000;
/** Tries of a rotation that waits: each may use up a number of a key version. */
const ROTATION_SCALE = { firstMs: 30_000, longestMs: 10 * 60_000 };

export interface EncryptedBucketDeps extends AccessDeps, ReferenceCaches {
  /** EncryptedBuckets, whole objects. */
  readonly buckets: Cache;
  readonly fleet: Pick<Fleet, 'anyPod'>;
  /** Where the data plane is; null: not known yet. */
  readonly endpoint: () => EndpointFacts | null;
  readonly events: EventRecorder;
  readonly random: Random;
}

/** What a look found. */
interface Seen {
  readonly declared: Declared;
  /** null: there is no bucket to have access to. */
  readonly access: AccessOutcome | null;
  readonly deletion: DeletionView;
}

/** A status. */
interface Next {
  readonly observedGeneration: number;
  readonly conditions: ReturnType<typeof nextConditions>;
  readonly facts: object;
}

export class EncryptedBucketReconciler implements Reconciler {
  readonly name = 'encryptedbucket';
  #deps: EncryptedBucketDeps;
  #access: AccessEntries;
  #statuses: StatusWriter;
  /** When usage and progress were last written, steady ms. */
  #figuresWritten = new Map<string, number>();
  /** How often the rotation that was asked for has failed in a row. */
  #rotationFailures = new Map<string, number>();
  /** The uid of each that was let go and that the cache still shows: nothing is left to do for it. */
  #released = new Map<string, string>();

  constructor(deps: EncryptedBucketDeps) {
    this.#deps = deps;
    this.#access = new AccessEntries(deps);
    this.#statuses = new StatusWriter(deps.kube);
  }

  async reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> {
    const { buckets, connections, namespaces, secrets, kube } = this.#deps;
    // Closed until everything is known: what permits a reference could be missing still.
    if (![connections, namespaces, secrets].every(({ synced }) => synced)) return { requeueAfterMs: SYNC_MS };
    const cached = buckets.get(key);
    if (cached === undefined) {
      this.#figuresWritten.delete(keyText(key));
      this.#rotationFailures.delete(keyText(key));
      this.#released.delete(keyText(key));
      return {};
    }
    const found = this.#statuses.newest(cached);
    if (found.metadata.deletionTimestamp === undefined) {
      return await this.#keep(await addFinalizer(kube, ENCRYPTED_BUCKET, found, FINALIZER, signal), signal);
    }
    const { uid } = found.metadata;
    if (uid !== undefined && this.#released.get(keyText(key)) === uid) return {};
    return hasFinalizer(found, FINALIZER) ? await this.#leave(found, signal) : {};
  }

  async #keep(object: KubeObject, signal: AbortSignal): Promise<ReconcileResult> {
    const { fleet, endpoint } = this.#deps;
    const bucket = parseEncryptedBucket(object);
    const admin = fleet.anyPod();
    const permitted = isReferencePermitted(this.#deps, bucket);
    let declared: Declared = { kind: 'Outage' };
    let access: AccessOutcome | null = null;
    try {
      if (admin !== null) {
        declared = await declare(admin, bucket, permitted, signal);
        access = await this.#bringAccess(admin, bucket, declared, endpoint(), signal);
      }
    } catch (error) {
      if (!isOutage(error)) throw error;
      declared = { kind: 'Outage' };
    }
    if (declared.kind !== 'Outage' || !isApplied(bucket))
      await this.#tell(object, bucket, { declared, access, deletion: null }, signal);
    return { requeueAfterMs: this.#delayMs(ownerOf(bucket), declared, access) };
  }

  /** null: there is no bucket to have access to. */
  async #bringAccess(
    admin: AdminApi,
    bucket: EncryptedBucket,
    declared: Declared,
    endpoint: EndpointFacts | null,
    signal: AbortSignal,
  ): Promise<AccessOutcome | null> {
    if (declared.kind === 'Serving') return await this.#access.reconcile(admin, bucket, endpoint, signal);
    const isAnothers = declared.kind !== 'Outage' && declared.isAnothers;
    if (isAnothers) await this.#access.revokeAll(admin, ownerOf(bucket), signal);
    return null;
  }

  #delayMs(owner: string, declared: Declared, access: AccessOutcome | null): number {
    if (declared.kind === 'Outage') return OUTAGE_MS;
    const rotationMs = this.#untilRotationIsTried(owner, declared);
    if (declared.kind !== 'Serving') return declared.retryMs;
    const { report, note } = declared;
    const look = rotationMs ?? LOOK_MS * (0.9 + this.#deps.random() * 0.2);
    const next =
      report.nextRotationAt === null ? Number.POSITIVE_INFINITY : Date.parse(report.nextRotationAt);
    const untilRotation = next - this.#deps.clock.wallMs() + OUTAGE_MS;
    return Math.min(
      look,
      report.rewrap.state === 'Idle' ? look : REWRAP_MS,
      note?.reason === 'ConnectionNotReady' ? NOTE_MS : look,
      untilRotation > 0 ? untilRotation : look,
      access?.nextEndMs ?? look,
      access === null || access.problem === null ? look : NOTE_MS,
    );
  }

  /** When a rotation that waits is tried again, in ms; null: none waits. */
  #untilRotationIsTried(owner: string, declared: Declared): number | null {
    if (declared.kind !== 'Serving' || declared.note?.reason !== 'RotationPending') {
      this.#rotationFailures.delete(owner);
      return null;
    }
    const failures = (this.#rotationFailures.get(owner) ?? 0) + 1;
    this.#rotationFailures.set(owner, failures);
    return backoffMs(failures, ROTATION_SCALE, this.#deps.random);
  }

  async #leave(cached: KubeObject, signal: AbortSignal): Promise<ReconcileResult> {
    const { kube, fleet, endpoint, namespaces } = this.#deps;
    const object = await readLeaving(kube, ENCRYPTED_BUCKET, cached, { finalizer: FINALIZER, signal });
    if (object === null) return {};
    const bucket = parseEncryptedBucket(object);
    const admin = fleet.anyPod();
    const namespace = namespaces.get({ namespace: '', name: bucket.metadata.namespace });
    const namespaceEnds = namespace?.metadata.deletionTimestamp !== undefined;
    const removal = await remove({ admin, access: this.#access, namespaceEnds }, bucket, signal);
    if (removal.kind === 'Done') {
      await removeFinalizer(kube, ENCRYPTED_BUCKET, object, FINALIZER, signal);
      const { uid } = object.metadata;
      if (uid !== undefined) {
        this.#statuses.forget(uid);
        this.#released.set(keyText(keyOf(object)), uid);
      }
      return {};
    }
    const { view, declared, retryMs } = removal;
    if (declared === null || (namespaceEnds && declared.kind === 'Serving')) {
      await this.#tellOfDeletion(object, bucket, view, signal);
    } else {
      const access =
        admin === null ? null : await this.#bringAccess(admin, bucket, declared, endpoint(), signal);
      await this.#tell(object, bucket, { declared, access, deletion: view }, signal);
    }
    return { requeueAfterMs: retryMs };
  }

  /** For a bucket that was not looked at: what was told of it stays, and nothing is claimed of a newer spec. */
  async #tellOfDeletion(
    object: KubeObject,
    bucket: EncryptedBucket,
    view: DeletionView,
    signal: AbortSignal,
  ): Promise<void> {
    const { status, metadata } = bucket;
    const conditions = nextConditions(status.conditions, [deletionBlocked(view)], {
      generation: metadata.generation ?? 0,
      nowMs: this.#deps.clock.wallMs(),
    });
    const { observedGeneration } = status;
    await this.#write(object, bucket, { observedGeneration, conditions, facts: factsOf(status) }, signal);
  }

  async #tell(
    object: KubeObject,
    bucket: EncryptedBucket,
    { declared, access, deletion }: Seen,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, endpoint, events } = this.#deps;
    const { status, metadata } = bucket;
    const nowMs = clock.wallMs();
    const judged: readonly Judgement[] = bucketConditions(declared, access, deletion);
    const generation = metadata.generation ?? 0;
    const conditions = nextConditions(status.conditions, judged, { generation, nowMs });
    const owner = ownerOf(bucket);
    let facts: object = factsOf(status);
    let figuresWritten = false;
    if (declared.kind === 'Serving') {
      ({ facts, figuresWritten } = servingFacts(declared.report, {
        bucketName: bucketNameOf(bucket),
        endpoints: endpoint(),
        present: status,
        writtenMs: this.#figuresWritten.get(owner) ?? null,
        steadyMs: clock.steadyMs(),
        nowMs,
      }));
    }
    await this.#write(object, bucket, { observedGeneration: generation, conditions, facts }, signal);
    if (figuresWritten) this.#figuresWritten.set(owner, clock.steadyMs());
    if (declared.kind !== 'Serving') return;
    const { report } = declared;
    const recreated = status.bucketUID !== undefined && status.bucketUID !== report.bucketId;
    const before = status.key?.version;
    if (!recreated && before !== undefined && (report.keyVersion ?? 0) > before) {
      const note = `New objects use key version ${report.keyVersion}`;
      events.record(object, { type: 'Normal', reason: 'KeyRotated', action: 'RotateKey', note });
    }
    if (recreated) {
      const note = `The bucket that was here before is gone from the data plane; this is a new one of the same name`;
      events.record(object, { type: 'Warning', reason: 'BucketRecreated', action: 'Declare', note });
    }
    for (const entry of access?.rotated ?? []) {
      const note = `The credential of access entry ${entry} was replaced`;
      events.record(object, { type: 'Normal', reason: 'AccessRotated', action: 'RotateAccess', note });
    }
  }

  async #write(
    object: KubeObject,
    { status }: EncryptedBucket,
    next: Next,
    signal: AbortSignal,
  ): Promise<void> {
    const { observedGeneration, conditions, facts } = next;
    const written = await this.#statuses.write(
      ENCRYPTED_BUCKET,
      object,
      {
        observedGeneration,
        conditions,
        ...facts,
      },
      signal,
    );
    if (written) recordTransitions(this.#deps.events, object, status.conditions, conditions, TOLD);
  }
}

/** Conditions whose changes are events. */
const TOLD = ['Ready', 'RewrapComplete', 'DeletionBlocked'];

/** Whether this very spec was in force once: then an outage is told where it is, and not at every bucket. */
function isApplied({ metadata, status }: EncryptedBucket): boolean {
  const ready = status.conditions.find(({ type }) => type === 'Ready');
  return status.observedGeneration === metadata.generation && ready?.status === 'True';
}

/** The status without what every write makes anew. */
function factsOf({
  conditions: _conditions,
  observedGeneration: _observedGeneration,
  ...facts
}: EncryptedBucket['status']): object {
  return facts;
}
