/**
 * Takes a change of mounted Secrets to the pods and waits until it is in force there.
 *
 * kubelet looks at mounted Secrets about once a minute, but at once when the pod itself changes; so an annotation on the
 * pod brings them there in less than a second. The template keeps out of it: that would be a restart.
 */
import type { Status } from '../../dataplane/admin/schema/status.ts';
import type { KubeApi } from '../kube/kubeApi.ts';
import type { KubeObject } from '../kube/resource.ts';
import type { FleetState } from './fleetState.ts';
import { POD } from './kinds.ts';
import { selectorLabels } from './labels.ts';

/** Of the files of NAME-config; whoever writes connection files uses an annotation of its own. */
export const CONFIG_HASH_ANNOTATION = 'sealgate.io/config-hash';

/** What a pod says of itself; null: it cannot be asked now. */
export type PodStatus = (pod: KubeObject, signal: AbortSignal) => Promise<Status | null>;

/** The pods of the fleet that are not being deleted. */
export async function fleetPods(
  api: KubeApi,
  fleet: { readonly name: string; readonly namespace: string },
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const labelSelector = Object.entries(selectorLabels(fleet.name, 'dataplane'))
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
  const pods = await api.list(POD, { namespace: fleet.namespace, labelSelector }, signal);
  return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Makes kubelet read the mounted Secrets of these pods now, if it has not been told of this content yet. */
export async function refreshPods(
  api: KubeApi,
  pods: readonly KubeObject[],
  annotation: string,
  value: string,
  signal: AbortSignal,
): Promise<void> {
  for (const { metadata } of pods) {
    if (metadata.annotations?.[annotation] === value) continue;
    const key = { namespace: metadata.namespace ?? '', name: metadata.name };
    await api.mergePatch(POD, key, { metadata: { annotations: { [annotation]: value } } }, { signal });
  }
}

/** Whether every pod has this configuration in force. */
export async function revisionState(
  pods: readonly KubeObject[],
  revision: string,
  podStatus: PodStatus,
  signal: AbortSignal,
): Promise<FleetState> {
  if (pods.length === 0) return { reason: 'Progressing', message: 'There is no data-plane pod yet.' };
  for (const pod of pods) {
    const status = await podStatus(pod, signal);
    if (status === null) {
      return {
        reason: 'Progressing',
        message: `Pod ${pod.metadata.name} does not answer on its admin port yet.`,
      };
    }
    if (status.config.revision === revision) continue;
    const { refused } = status.config;
    return refused === null
      ? { reason: 'Progressing', message: `Pod ${pod.metadata.name} has not read its new configuration yet.` }
      : {
          reason: 'ConfigRefused',
          message: `Pod ${pod.metadata.name} refuses its configuration: ${refused.problems.join('; ')}`,
        };
  }
  return {
    reason: 'Ready',
    message: `The configuration is in force on ${pods.length} of ${pods.length} pods.`,
  };
}
