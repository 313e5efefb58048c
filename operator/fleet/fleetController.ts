/**
 * Brings the fleet of this installation to what its ConfigMap declares.
 *
 * Owns the order of things: identity, Service (its address comes into the certificate), authority, certificates, the
 * rest, pods. Must not know how objects look (render.ts) nor how a pod is asked. Level-triggered; every step may be
 * repeated, and nothing is written when nothing differs.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { isRefusedWrite, type KubeApi, type KubeError } from '../kube/kubeApi.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';
import type { EventRecorder, ReconcileResult, Reconciler } from '../runtime/reconciler.ts';
import { chooseFleet, LAST_GOOD_ANNOTATION } from './declaredFleet.ts';
import { ensureAbsent, ensureObject, type ObjectsOf } from './ensureObject.ts';
import type { FleetContext } from './fleetContext.ts';
import { type FleetFacts, fleetFacts } from './fleetFacts.ts';
import { FleetError, type FleetSpec } from './fleetSpec.ts';
import { FleetRefusal, type FleetState } from './fleetState.ts';
import { ensureInstallation, ensureRootFile, type RandomBytes } from './identity.ts';
import {
  CONFIG_MAP,
  NETWORK_POLICY,
  PROMETHEUS_RULE,
  SERVICE_MONITOR,
  STATEFUL_SET,
  typeOf,
} from './kinds.ts';
import { ensureMaterial } from './material.ts';
import { fleetNames } from './names.ts';
import {
  CONFIG_HASH_ANNOTATION,
  fleetPods,
  type PodStatus,
  refreshPods,
  revisionState,
} from './podRefresh.ts';
import { type AlertGroup, parseAlertGroups } from './prometheusRule.ts';
import { renderFleet } from './render.ts';
import { s3Service } from './services.ts';

/** Certificates and tokens are looked at so often, even if nothing happens. */
const SETTLED_MS = 5 * 60_000;

export interface FleetDependencies {
  readonly api: KubeApi;
  readonly events: EventRecorder;
  readonly log: Pick<Logger, 'info'>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random: RandomBytes;
  readonly podStatus: PodStatus;
  /** Told at every visit, before anything waits for the pods. */
  readonly facts: (facts: FleetFacts) => void;
  /** Told after every visit, for metrics and /readyz. */
  readonly report: (state: FleetState) => void;
  readonly fleet: { readonly name: string; readonly namespace: string };
}

interface Outcome {
  /** null: there is no good fleet to make. */
  readonly state: FleetState | null;
  readonly refusedWrite: KubeError | null;
}

const data = z.record(z.string(), z.string());
const serviceAddresses = z.object({ clusterIPs: z.array(z.string()).default([]) });

export class FleetReconciler implements Reconciler {
  readonly name = 'fleet';
  readonly #given: FleetDependencies;
  #last: FleetState | null = null;
  #progressingSinceMs: number | null = null;

  constructor(given: FleetDependencies) {
    this.#given = given;
  }

  /** The one key that means this fleet; others are ignored. */
  get key(): ObjectKey {
    const { name, namespace } = this.#given.fleet;
    return { namespace, name: fleetNames(name).fleetConfigMap };
  }

  /** A write that the API server refuses is reported, and rejects as well: it is tried again with backoff. */
  async reconcile(key: ObjectKey, signal: AbortSignal): Promise<ReconcileResult> {
    if (key.name !== this.key.name || key.namespace !== this.key.namespace) return {};
    const { api, fleet } = this.#given;
    const configMap = await api.get(CONFIG_MAP, this.key, signal);
    const present = { namespace: fleet.namespace, name: fleetNames(fleet.name).statefulSet };
    const chosen = chooseFleet(fleet.name, configMap, await api.get(STATEFUL_SET, present, signal));
    const { state, refusedWrite } = await this.#outcomeOf(chosen.spec, signal);
    const refused: FleetState | null =
      chosen.refused === null
        ? null
        : { reason: 'FleetInvalid', message: `${chosen.refused}. ${kept(chosen.spec)}` };
    const result = this.#conclude(
      configMap,
      state?.reason === 'InstallationKeyMissing' ? state : (refused ?? state),
    );
    if (refusedWrite !== null) throw refusedWrite;
    return result;
  }

  async #outcomeOf(spec: FleetSpec | null, signal: AbortSignal): Promise<Outcome> {
    if (spec === null) return { state: null, refusedWrite: null };
    try {
      return { state: await this.#make({ ...this.#given.fleet, spec }, signal), refusedWrite: null };
    } catch (error) {
      if (error instanceof FleetRefusal) {
        return { state: { reason: error.reason, message: error.message }, refusedWrite: null };
      }
      if (!isRefusedWrite(error)) throw error;
      const message = `The API server refuses what the fleet needs: ${error.message}`;
      return { state: { reason: 'FleetInvalid', message }, refusedWrite: error };
    }
  }

  async #make(context: FleetContext, signal: AbortSignal): Promise<FleetState> {
    const { api, random, log, now, podStatus } = this.#given;
    const installation = await ensureInstallation(api, context, random, signal);
    const objects: ObjectsOf = {
      api,
      namespace: context.namespace,
      hashKey: installation.key,
      onWrite: (kind, name, field) => log.info({ kind, object: name, field }, 'fleet object written'),
    };
    const rootFile = await ensureRootFile(api, context, random, signal);
    const service = await ensureObject(objects, s3Service(context), signal);
    const clusterIPs = serviceAddresses.parse(service?.['spec'] ?? {}).clusterIPs;
    const material = await ensureMaterial(objects, context, { clusterIPs, nowMs: now(), random }, signal);
    this.#given.facts(fleetFacts(context, material, clusterIPs));
    const alertGroups = await this.#alertGroups(signal);
    const rendered = renderFleet(context, { ...material, installation, rootFile, clusterIPs, alertGroups });
    const refused = await ensureAll(objects, context, rendered.objects, signal);
    await dropUndeclared(objects, context, rendered.objects, signal);
    const pods = await fleetPods(api, context, signal);
    await refreshPods(api, pods, CONFIG_HASH_ANNOTATION, rendered.revision, signal);
    if (refused !== null) throw refused;
    return revisionState(pods, rendered.revision, podStatus, signal);
  }

  async #alertGroups(signal: AbortSignal): Promise<readonly AlertGroup[]> {
    const { api, fleet } = this.#given;
    const key = { namespace: fleet.namespace, name: fleetNames(fleet.name).alertsConfigMap };
    const configMap = await api.get(CONFIG_MAP, key, signal);
    try {
      return parseAlertGroups(data.safeParse(configMap?.['data']).data ?? {});
    } catch (error) {
      if (!(error instanceof FleetError)) throw error;
      throw new FleetRefusal('FleetInvalid', `ConfigMap ${key.name}: ${error.message}`, { cause: error });
    }
  }

  /** Reports, tells transitions as events, and says when to look again. */
  #conclude(configMap: KubeObject | null, found: FleetState | null): ReconcileResult {
    const { events, report, now } = this.#given;
    const state: FleetState = found ?? { reason: 'FleetInvalid', message: 'No fleet is declared.' };
    report(state);
    const news = this.#last?.reason !== state.reason || this.#last.message !== state.message;
    if (news && configMap !== null && state.reason !== 'Progressing') {
      const type = state.reason === 'Ready' ? 'Normal' : 'Warning';
      events.record(configMap, { type, reason: state.reason, action: 'ReconcileFleet', note: state.message });
    }
    if (state.reason !== 'Progressing') {
      this.#progressingSinceMs = null;
      this.#last = state;
      return { requeueAfterMs: state.reason === 'ConfigRefused' ? 30_000 : SETTLED_MS };
    }
    // Soon at first, because a change is in force within a second; a pod that needs minutes is asked less and less.
    this.#progressingSinceMs ??= now();
    const waitedMs = now() - this.#progressingSinceMs;
    return { requeueAfterMs: Math.min(30_000, Math.max(500, waitedMs / 4)) };
  }
}

function kept(spec: FleetSpec | null): string {
  return spec === null ? 'Nothing is made.' : 'The last good fleet is kept.';
}

function withLastGood(statefulSet: KubeObject, spec: FleetSpec): KubeObject {
  const { metadata } = statefulSet;
  const annotations = { ...metadata.annotations, [LAST_GOOD_ANNOTATION]: JSON.stringify(spec) };
  return { ...statefulSet, metadata: { ...metadata, annotations } };
}

/**
 * One object that is refused keeps back no other, but for two: no pod changes before all that it needs is there, and it
 * is told of no configuration that could not be written.
 *
 * @returns the first refusal; null: there was none
 */
async function ensureAll(
  objects: ObjectsOf,
  context: FleetContext,
  declared: readonly KubeObject[],
  signal: AbortSignal,
): Promise<KubeError | null> {
  let refused: KubeError | null = null;
  for (const object of declared) {
    const isStatefulSet = object.kind === 'StatefulSet';
    if (isStatefulSet && refused !== null) continue;
    try {
      await ensureObject(objects, isStatefulSet ? withLastGood(object, context.spec) : object, signal);
    } catch (error) {
      if (!isRefusedWrite(error) || object.kind === 'Secret') throw error;
      refused ??= error;
    }
  }
  return refused;
}

/** What can be switched off goes when it is. */
async function dropUndeclared(
  objects: ObjectsOf,
  context: FleetContext,
  declared: readonly KubeObject[],
  signal: AbortSignal,
): Promise<void> {
  const names = fleetNames(context.name);
  const optional = [
    { type: NETWORK_POLICY, name: names.networkPolicy },
    { type: SERVICE_MONITOR, name: names.serviceMonitor },
    { type: SERVICE_MONITOR, name: names.operatorServiceMonitor },
    { type: PROMETHEUS_RULE, name: names.prometheusRule },
  ];
  for (const { type, name } of optional) {
    if (declared.some((object) => typeOf(object) === type && object.metadata.name === name)) continue;
    await ensureAbsent(objects, type, name, signal);
  }
}
