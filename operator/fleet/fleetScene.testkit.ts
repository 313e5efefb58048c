/** A fleet in the memory of a test, with its reconciler, clock and pod. */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Status } from '../../dataplane/admin/schema/status.ts';
import type { KubeObject, ResourceType } from '../kube/resource.ts';
import { fleetYaml } from './fleet.testkit.ts';
import { FleetReconciler } from './fleetController.ts';
import type { FleetState } from './fleetState.ts';
import { CONFIG_MAP, POD, SECRET } from './kinds.ts';
import { selectorLabels } from './labels.ts';
import { MemoryApi } from './memoryApi.testkit.ts';
import { secretFiles } from './secretContent.ts';

export const NAMESPACE = 'storage';
export const KEY = { namespace: NAMESPACE, name: 'sealgate-fleet' };

const RULES = 'groups:\n  - name: g\n    rules:\n      - {alert: Down, expr: "up == 0"}\n';

/** A fleet in the memory of a test, with a pod that takes over every configuration at once. */
export class Scene {
  readonly api = new MemoryApi();
  readonly events: string[] = [];
  readonly states: FleetState[] = [];
  readonly log: string[] = [];
  nowMs = Date.UTC(2026, 0, 1);
  /** What the pod says; by default the revision that lies in the Secret. */
  status: () => Promise<Status | null> = async () => podSays(this.config()['revision'], null);
  readonly reconciler: FleetReconciler;

  constructor() {
    this.reconciler = new FleetReconciler({
      api: this.api,
      events: { record: (_, { type, reason, note }) => this.events.push(`${type} ${reason} ${note}`) },
      log: { info: (...said: unknown[]) => this.log.push(JSON.stringify(said)) },
      now: () => this.nowMs,
      random: randomBytes,
      podStatus: () => this.status(),
      facts: () => undefined,
      report: (state) => this.states.push(state),
      fleet: { name: 'sealgate', namespace: NAMESPACE },
    });
    this.declare(fleetYaml());
    this.configMap('sealgate-alerts', { 'kms.yaml': RULES });
    this.api.put(POD, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'sealgate-0', namespace: NAMESPACE, labels: selectorLabels('sealgate', 'dataplane') },
    });
  }

  configMap(name: string, data: Record<string, string>): void {
    this.api.put(CONFIG_MAP, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name, namespace: NAMESPACE },
      data,
    });
  }

  declare(text: string): void {
    this.configMap('sealgate-fleet', { 'fleet.yaml': text });
  }

  async visit(): Promise<FleetState> {
    await this.reconciler.reconcile(KEY, new AbortController().signal);
    return this.state();
  }

  state(): FleetState {
    return this.states.at(-1) ?? { reason: 'Progressing', message: 'not visited' };
  }

  object(type: ResourceType, name: string): KubeObject | null {
    return this.api.find(type, NAMESPACE, name) ?? null;
  }

  files(secret: string): Record<string, string> {
    return secretFiles(this.object(SECRET, secret));
  }

  config(): Record<string, unknown> {
    return z
      .record(z.string(), z.unknown())
      .parse(JSON.parse(this.files('sealgate-config')['sealgate.json'] ?? '{}'));
  }

  drop(type: ResourceType, name: string): void {
    this.api.objects.delete(`${type.group}/${type.plural}/${NAMESPACE}/${name}`);
  }
}

export function podSays(revision: unknown, problems: string[] | null): Status {
  const at = new Date(0).toISOString();
  return {
    version: '1',
    installationId: 'i',
    incarnation: 'i',
    startedAt: at,
    phase: 'serving',
    config: {
      hash: 'h',
      revision: typeof revision === 'string' ? revision : null,
      loadedAt: at,
      refused: problems === null ? null : { at, problems },
    },
    kms: [],
    refusedConnections: [],
    storage: { metadata: { engine: 'sqlite', freeBytes: 1 }, blobs: { engine: 'filesystem', freeBytes: 1 } },
    crypto: { openssl: '3', aesNi: true },
    workers: 2,
  };
}
