/**
 * Our finalizer among those of others. The list is written whole, as a merge patch must, so only on the version that
 * was read: what another adds meanwhile is a Conflict and not lost.
 */
import { type KubeApi, KubeError } from '../kube/kubeApi.ts';
import { keyOf } from '../kube/paths.ts';
import type { KubeObject, ResourceType } from '../kube/resource.ts';

export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return (object.metadata.finalizers ?? []).includes(finalizer);
}

/** The object with the finalizer. Rejects with KubeError; Conflict when the object has changed. */
export async function addFinalizer(
  api: Pick<KubeApi, 'mergePatch'>,
  type: ResourceType,
  object: KubeObject,
  finalizer: string,
  signal: AbortSignal,
): Promise<KubeObject> {
  if (hasFinalizer(object, finalizer)) return object;
  return await write(api, type, object, [...(object.metadata.finalizers ?? []), finalizer], signal);
}

/** Lets the object go; no error when it is gone already. Rejects with KubeError; Conflict when it has changed. */
export async function removeFinalizer(
  api: Pick<KubeApi, 'mergePatch'>,
  type: ResourceType,
  object: KubeObject,
  finalizer: string,
  signal: AbortSignal,
): Promise<void> {
  if (!hasFinalizer(object, finalizer)) return;
  const others = (object.metadata.finalizers ?? []).filter((one) => one !== finalizer);
  try {
    await write(api, type, object, others, signal);
  } catch (error) {
    if (!(error instanceof KubeError && error.code === 'NotFound')) throw error;
  }
}

function write(
  api: Pick<KubeApi, 'mergePatch'>,
  type: ResourceType,
  object: KubeObject,
  finalizers: readonly string[],
  signal: AbortSignal,
): Promise<KubeObject> {
  const { resourceVersion, uid } = object.metadata;
  return api.mergePatch(type, keyOf(object), { metadata: { resourceVersion, uid, finalizers } }, { signal });
}
