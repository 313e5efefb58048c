/**
 * Whether an object is really on its way out. A cache may stand still while the object goes and another of its name is
 * made, and what a deletion does cannot be taken back: so the API server is asked before anything is.
 */
import type { KubeApi } from '../kube/kubeApi.ts';
import { keyOf } from '../kube/paths.ts';
import type { KubeObject, ResourceType } from '../kube/resource.ts';
import { hasFinalizer } from './finalizer.ts';

/**
 * The object as it is now, by which to judge; null: it is gone, is another of the same name, or is nothing to this
 * finalizer, and the watch will tell what is there. Rejects with KubeError.
 */
export async function readLeaving(
  api: Pick<KubeApi, 'get'>,
  type: ResourceType,
  cached: KubeObject,
  { finalizer, signal }: { readonly finalizer: string; readonly signal: AbortSignal },
): Promise<KubeObject | null> {
  const found = await api.get(type, keyOf(cached), signal);
  if (found === null || found.metadata.uid !== cached.metadata.uid) return null;
  return found.metadata.deletionTimestamp !== undefined && hasFinalizer(found, finalizer) ? found : null;
}
