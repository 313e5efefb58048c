/**
 * Brings a KMSConnection into force: its files into the Secrets that the data plane mounts, its state into its status,
 * and at its end out of the data plane again, but never while a key hangs on it.
 *
 * Owns the order of these steps. It must not take away what is in force because something to replace it is missing or
 * wrong, and it makes no key.
 */
import { type KMSConnection, parseKMSConnection } from '../../crds/kmsconnection.ts';
import type { AdminApi } from '../admin/adminApi.ts';
import { isOutage, isRefusal } from '../admin/adminApi.ts';
import type { Fleet } from '../admin/fleetPods.ts';
import type { Clock, Random } from '../clock.ts';
import { FINALIZER, FORCE_DELETE, KMS_CONNECTION } from '../kube/kinds.ts';
import type { Cache, KubeApi } from '../kube/kubeApi.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from '../runtime/finalizer.ts';
import { nextConditions, recordTransitions } from '../runtime/judgement.ts';
import { readLeaving } from '../runtime/leaving.ts';
import type { EventRecorder, ReconcileResult, Reconciler } from '../runtime/reconciler.ts';
import { StatusWriter } from '../runtime/status.ts';
import { isWorthWriting } from '../runtime/steadyFigure.ts';
import { connectionName } from './connectionFile.ts';
import { ConnectionMaterial, type InForce } from './connectionMaterial.ts';
import { ConnectionShards, ShardError } from './connectionShards.ts';
import { connectionConditions, connectionFacts, type DeletionView } from './connectionStatus.ts';
import { type FleetView, lookAtFleet, Nudges } from './fleetSync.ts';
import type { MaterialError } from './material.ts';
import type { Prober } from './prober.ts';

const SYNC_RETRY_MS = 1_000;
/** Pods that have been behind for a shorter time are on their way. */
const SETTLING_MS = 10_000;
const OUTAGE_RETRY_MS = 5_000;
const IN_USE_RETRY_MS = 30_000;
const LOOK_MS = 60_000;

export interface KmsConnectionDeps {
  readonly kube: KubeApi;
  /** KMSConnections, whole objects. */
  readonly connections: Cache;
  /** Metadata of Secrets and ConfigMaps, those of the operator's namespace among them. */
  readonly secrets: Cache;
  readonly configMaps: Cache;
  readonly fleet: Fleet;
  readonly prober: Prober;
  readonly events: EventRecorder;
  readonly clock: Clock;
  readonly random: Random;
  /** The operator's namespace, and NAME of the installation. */
  readonly namespace: string;
  readonly fleetName: string;
}

export class KmsConnectionReconciler implements Reconciler {
  readonly name = 'kmsconnection';
  #deps: KmsConnectionDeps;
  #shards: ConnectionShards;
  #material: ConnectionMaterial;
  #nudges: Nudges;
  #statuses: StatusWriter;
  /** When the number of buckets was last written, steady ms. */
  #bucketsWritten = new Map<string, number>();

  constructor(deps: KmsConnectionDeps) {
    this.#deps = deps;
    this.#shards = new ConnectionShards(deps.kube, deps);
    this.#material = new ConnectionMaterial({ ...deps, shards: this.#shards });
    this.#nudges = new Nudges(deps);
    this.#statuses = new StatusWriter(deps.kube);
  }

  async reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> {
    const cached = this.#deps.connections.get(key);
    if (cached === undefined) {
      this.#forget(key);
      return {};
    }
    const found = this.#statuses.newest(cached);
    if (found.metadata.deletionTimestamp === undefined) {
      const object = await addFinalizer(this.#deps.kube, KMS_CONNECTION, found, FINALIZER, signal);
      return await this.#keep(key, object, null, signal);
    }
    if (!hasFinalizer(found, FINALIZER)) return {};
    return await this.#leave(key, found, signal);
  }

  /** Renders, brings to the pods, probes and tells. */
  async #keep(
    key: ObjectKey,
    object: KubeObject,
    deletion: DeletionView,
    signal: AbortSignal,
  ): Promise<ReconcileResult> {
    const connection = parseKMSConnection(object);
    const { problem, unwritten, inForce } = await this.#material.render(key, connection, signal);
    const fleet = await lookAtFleet(this.#deps.fleet, key, inForce?.revision ?? null, signal);
    const behindMs = await this.#nudges.nudge(key, inForce?.revision ?? 'none', fleet.behind, signal);
    const settling = behindMs !== null && behindMs < SETTLING_MS;
    const probeMs =
      inForce === null ? LOOK_MS : this.#deps.prober.ensure(key, inForce.revision, inForce.settings);
    const buckets = await this.#buckets(key, signal);
    const probed = inForce === null || this.#deps.prober.latest(key, inForce.revision) !== null;
    const elseInOrder = problem === null && unwritten === null && isSynced(fleet);
    // A change that is on its way to the pods or to the KMS is no reason to call a connection that works anything else.
    const onItsWay = (settling && fleet.refused === null) || (!probed && elseInOrder);
    if (!onItsWay || deletion !== null || !isReady(connection)) {
      await this.#tell(
        key,
        object,
        connection,
        { problem, unwritten, inForce, fleet, settling, deletion, buckets },
        signal,
      );
    }
    return { requeueAfterMs: Math.min(probeMs, this.#delayMs(fleet, behindMs, deletion)) };
  }

  #delayMs(
    { refused, unreachable, desired }: FleetView,
    behindMs: number | null,
    deletion: DeletionView,
  ): number {
    const waits = behindMs !== null && refused === null;
    if (waits && behindMs < SETTLING_MS) return SYNC_RETRY_MS;
    if (unreachable > 0 || desired === 0) return OUTAGE_RETRY_MS;
    if (deletion !== null) return deletion.reason === 'InUse' ? IN_USE_RETRY_MS : OUTAGE_RETRY_MS;
    // As long again as it has lasted, so that a pod that cannot follow is asked less and less.
    if (waits) return Math.min(Math.max(behindMs - SETTLING_MS, OUTAGE_RETRY_MS), LOOK_MS);
    return LOOK_MS * (0.9 + this.#deps.random() * 0.2);
  }

  /**
   * Takes the files away once no key hangs on the connection, waits until no pod has it any more, and looks again: a
   * key that was made in between brings the files back. Only then does the resource go.
   */
  async #leave(key: ObjectKey, cached: KubeObject, signal: AbortSignal): Promise<ReconcileResult> {
    const { kube } = this.#deps;
    const object = await readLeaving(kube, KMS_CONNECTION, cached, { finalizer: FINALIZER, signal });
    if (object === null) return {};
    const forced = object.metadata.annotations?.[FORCE_DELETE] === 'true';
    const blocked = forced ? null : await this.#use(key, signal);
    if (blocked !== null) return await this.#keep(key, object, blocked, signal);
    const kept = await this.#withdraw(key, signal);
    if (kept !== null && !forced) return await this.#keep(key, object, kept, signal);
    this.#material.forget(key);
    const fleet = await lookAtFleet(this.#deps.fleet, key, null, signal);
    await this.#nudges.nudge(
      key,
      `without ${connectionName(key)}`.replaceAll(/[^A-Za-z0-9.-]/g, '-'),
      fleet.behind,
      signal,
    );
    if (!forced) {
      if (fleet.synced < fleet.desired) {
        const deletion = {
          reason: 'BeingRemoved',
          message: `${fleet.desired - fleet.synced} of ${fleet.desired} pods may still have the connection`,
        } as const;
        await this.#tell(
          key,
          object,
          parseKMSConnection(object),
          {
            problem: null,
            unwritten: null,
            inForce: null,
            fleet,
            settling: false,
            deletion,
            buckets: null,
          },
          signal,
        );
        return { requeueAfterMs: fleet.unreachable > 0 ? OUTAGE_RETRY_MS : SYNC_RETRY_MS };
      }
      const used = await this.#use(key, signal);
      if (used !== null) return await this.#keep(key, object, used, signal);
    }
    await removeFinalizer(this.#deps.kube, KMS_CONNECTION, object, FINALIZER, signal);
    if (object.metadata.uid !== undefined) this.#statuses.forget(object.metadata.uid);
    this.#forget(key);
    return {};
  }

  /** Takes the files away. Why they are still there; null: they are not. */
  async #withdraw(key: ObjectKey, signal: AbortSignal): Promise<DeletionView> {
    try {
      await this.#shards.write(key, await this.#shards.read(key, signal), {}, signal);
      return null;
    } catch (error) {
      if (!(error instanceof ShardError)) throw error;
      const message = `The files of the connection cannot be taken away: ${error.message}`;
      return { reason: 'SecretNotWritable', message };
    }
  }

  /** Why the connection must stay; null: no key hangs on it. */
  async #use(key: ObjectKey, signal: AbortSignal): Promise<DeletionView> {
    const admin = this.#deps.fleet.anyPod();
    if (admin === null) return UNKNOWN_USE;
    try {
      const { keyVersions } = await useOf(admin, key, signal);
      if (keyVersions === 0) return null;
      return { reason: 'InUse', message: `${keyVersions} key versions are kept in this KMS` };
    } catch (error) {
      if (isOutage(error)) return UNKNOWN_USE;
      throw error;
    }
  }

  /** Existing buckets under the connection; null: the data plane does not tell. */
  async #buckets(key: ObjectKey, signal: AbortSignal): Promise<number | null> {
    const admin = this.#deps.fleet.anyPod();
    if (admin === null) return null;
    try {
      return (await useOf(admin, key, signal)).buckets;
    } catch (error) {
      if (isOutage(error)) return null;
      throw error;
    }
  }

  async #tell(
    key: ObjectKey,
    object: KubeObject,
    { metadata, status }: KMSConnection,
    seen: {
      readonly problem: MaterialError | null;
      readonly unwritten: ShardError | null;
      readonly inForce: InForce | null;
      readonly fleet: FleetView;
      readonly settling: boolean;
      readonly deletion: DeletionView;
      readonly buckets: number | null;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, prober, events } = this.#deps;
    const nowMs = clock.wallMs();
    const generation = metadata.generation ?? 0;
    const view = {
      problem: seen.problem,
      unwritten: seen.unwritten,
      notAfterMs: seen.inForce?.notAfterMs ?? null,
      probes: prober.latest(key, seen.inForce?.revision ?? null),
      fleet: seen.fleet,
      settling: seen.settling,
      deletion: seen.deletion,
      nowMs,
    };
    const shown = status.buckets;
    const writtenMs = this.#bucketsWritten.get(connectionName(key)) ?? null;
    const fresh =
      seen.buckets !== null && isWorthWriting(shown, seen.buckets, { writtenMs, nowMs: clock.steadyMs() });
    const conditions = nextConditions(status.conditions, connectionConditions(view), { generation, nowMs });
    const written = await this.#statuses.write(
      KMS_CONNECTION,
      object,
      {
        observedGeneration: generation,
        conditions,
        ...connectionFacts(view, fresh ? seen.buckets : (shown ?? null), status),
      },
      signal,
    );
    if (fresh) this.#bucketsWritten.set(connectionName(key), clock.steadyMs());
    if (written)
      recordTransitions(events, object, status.conditions, conditions, ['Ready', 'DeletionBlocked']);
  }

  #forget(key: ObjectKey): void {
    this.#material.forget(key);
    this.#nudges.forget(key);
    this.#deps.prober.forget(key);
    this.#bucketsWritten.delete(connectionName(key));
  }
}

const isSynced = ({ desired, synced }: FleetView): boolean => desired > 0 && synced === desired;

const isReady = ({ status }: KMSConnection): boolean =>
  status.conditions.some(({ type, status: holds }) => type === 'Ready' && holds === 'True');

const UNKNOWN_USE: DeletionView = {
  reason: 'DataPlaneUnreachable',
  message: 'No data-plane pod tells whether keys are kept in this KMS',
};

async function useOf(
  admin: AdminApi,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<{ readonly keyVersions: number; readonly buckets: number }> {
  try {
    return await admin.connectionUse(connectionName(key), signal);
  } catch (error) {
    // Never configured, and no key names it.
    if (isRefusal(error, 'NoSuchConnection')) return { keyVersions: 0, buckets: 0 };
    throw error;
  }
}
