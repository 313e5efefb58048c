/**
 * How far the files of one connection have reached the data plane, and the nudge that makes kubelet bring them: it
 * refreshes a pod's mounted Secrets at once when the pod object changes, and else after a minute or more.
 */
import type { Status } from '../../dataplane/admin/schema/status.ts';
import { isOutage } from '../admin/adminApi.ts';
import type { Fleet, FleetPod } from '../admin/fleetPods.ts';
import type { Clock } from '../clock.ts';
import { POD } from '../kube/kinds.ts';
import { type KubeApi, KubeError } from '../kube/kubeApi.ts';
import type { ObjectKey } from '../kube/resource.ts';
import { connectionName, fileNames } from './connectionFile.ts';

/** Beside the fleet's own annotation: the two must not overwrite each other's. */
const CONFIG_HASH = 'sealgate.io/connections-hash';
/** After a nudge that came before kubelet's own news of the Secret, another one is due. */
const REPEAT_MS = 10_000;
const NUDGES = 3;

export interface FleetView {
  readonly desired: number;
  readonly synced: number;
  /** Why a pod refuses the files, in the data plane's words; null: none does. */
  readonly refused: string | null;
  /** Pods that do not answer. */
  readonly unreachable: number;
  /** Pods that answer and have something else in force. */
  readonly behind: readonly FleetPod[];
}

/** Asks every pod, for this connection alone. `revision`: that of the files as rendered; null: there should be none. */
export async function lookAtFleet(
  fleet: Fleet,
  key: ObjectKey,
  revision: string | null,
  signal: AbortSignal,
): Promise<FleetView> {
  const pods = fleet.everyPod();
  const answers = await Promise.all(
    pods.map(async (pod) => ({ pod, status: await statusOf(pod, key, signal) })),
  );
  const answered = answers.flatMap(({ pod, status }) => (status === null ? [] : [{ pod, status }]));
  const behind = answered.filter(({ status }) => inForce(status, key) !== revision);
  const refusal = behind.map(({ status }) => refusedBy(status, key)).find((text) => text !== null);
  return {
    desired: pods.length,
    synced: answered.length - behind.length,
    refused: refusal ?? null,
    unreachable: pods.length - answered.length,
    behind: behind.map(({ pod }) => pod),
  };
}

async function statusOf({ admin }: FleetPod, key: ObjectKey, signal: AbortSignal): Promise<Status | null> {
  if (admin === null) return null;
  try {
    return await admin.statusOf(connectionName(key), signal);
  } catch (error) {
    if (isOutage(error)) return null;
    throw error;
  }
}

/** The revision that the pod has in force; empty: it has the connection without one; null: not at all. */
function inForce({ kms }: Status, key: ObjectKey): string | null {
  const found = kms.find(({ name }) => name === connectionName(key));
  return found === undefined ? null : (found.revision ?? '');
}

function refusedBy({ refusedConnections }: Status, key: ObjectKey): string | null {
  const file = fileNames(key).document;
  const refused = refusedConnections.find((entry) => entry.file === file || entry.file.endsWith(`/${file}`));
  return refused === undefined ? null : refused.problems.join('; ');
}

const named = (cause: string, count: number): string =>
  count === 0 ? cause.slice(0, 32) : `${cause.slice(0, 32)}-${count}`;

export interface NudgeDeps {
  readonly kube: KubeApi;
  readonly clock: Clock;
}

/** Remembers what it has done for each connection, so that a pod that cannot follow is not patched for ever. */
export class Nudges {
  #deps: NudgeDeps;
  #done = new Map<
    string,
    { readonly cause: string; readonly sinceMs: number; count: number; atMs: number }
  >();

  constructor(deps: NudgeDeps) {
    this.#deps = deps;
  }

  /**
   * Patches the pods that are behind; `cause` names what they lack, such as a revision. How long they have been behind
   * it, ms; null: none is.
   */
  async nudge(
    key: ObjectKey,
    cause: string,
    behind: readonly FleetPod[],
    signal: AbortSignal,
  ): Promise<number | null> {
    const name = connectionName(key);
    if (behind.length === 0) {
      this.#done.delete(name);
      return null;
    }
    const nowMs = this.#deps.clock.steadyMs();
    const known = this.#done.get(name);
    const last =
      known?.cause === cause ? known : { cause, sinceMs: nowMs, count: 0, atMs: nowMs - REPEAT_MS };
    const behindMs = nowMs - last.sinceMs;
    if (last.count >= NUDGES || nowMs - last.atMs < REPEAT_MS) return behindMs;
    for (const pod of behind) {
      // A value that stands there already, from before a crash or from another time, would tell kubelet nothing.
      const [value = '', other = ''] = [last.count, last.count + NUDGES].map((count) => named(cause, count));
      await this.#patch(pod.key, pod.annotations[CONFIG_HASH] === value ? other : value, signal);
    }
    this.#done.set(name, { ...last, count: last.count + 1, atMs: nowMs });
    return behindMs;
  }

  forget(key: ObjectKey): void {
    this.#done.delete(connectionName(key));
  }

  async #patch(pod: ObjectKey, value: string, signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.kube.mergePatch(
        POD,
        pod,
        { metadata: { annotations: { [CONFIG_HASH]: value } } },
        { signal },
      );
    } catch (error) {
      // A pod that is gone reads the files when its successor starts.
      if (!(error instanceof KubeError) || error.code !== 'NotFound') throw error;
    }
  }
}
