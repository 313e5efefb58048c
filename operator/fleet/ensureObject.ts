/** Brings single objects to what is declared, with no write when nothing differs. */
import { type KubeApi, KubeError } from '../kube/kubeApi.ts';
import type { KubeObject, ObjectKey, ResourceType } from '../kube/resource.ts';
import { firstDifference, withAppliedHash } from './difference.ts';
import { OPTIONAL_KINDS, typeOf } from './kinds.ts';

export interface ObjectsOf {
  readonly api: KubeApi;
  readonly namespace: string;
  /** Keys the hash of what was applied. */
  readonly hashKey: string;
  /** Told of each write: kind and name, and the first field that differed. */
  readonly onWrite: (kind: string, name: string, field: string) => void;
}

const keyOf = (objects: ObjectsOf, name: string): ObjectKey => ({ namespace: objects.namespace, name });

/** The live object after it was brought to what is declared; null: the cluster does not have this optional kind. */
export async function ensureObject(
  objects: ObjectsOf,
  object: KubeObject,
  signal: AbortSignal,
): Promise<KubeObject | null> {
  const type = typeOf(object);
  const declared = withAppliedHash(object, objects.hashKey);
  const live = await objects.api.get(type, keyOf(objects, object.metadata.name), signal);
  const field = live === null ? 'metadata' : firstDifference(declared, live);
  if (live !== null && field === null) return live;
  if (live === null && OPTIONAL_KINDS.includes(type) && !(await mayBeServed(objects.api, type, signal)))
    return null;
  signal.throwIfAborted();
  try {
    const applied = await applyOrReplace(objects, type, declared, live !== null, signal);
    objects.onWrite(object.kind, object.metadata.name, field ?? '');
    return applied;
  } catch (error) {
    // The kind has just gone.
    if (error instanceof KubeError && error.code === 'NotFound' && OPTIONAL_KINDS.includes(type)) return null;
    throw error;
  }
}

/** An object that is not there may lack its kind: to find that out by writing would be a write at every look. */
async function mayBeServed(api: KubeApi, type: ResourceType, signal: AbortSignal): Promise<boolean> {
  try {
    return await api.serves(type, signal);
  } catch (error) {
    // Some clusters let nobody read the discovery: then only the write tells.
    if (error instanceof KubeError && error.code === 'Forbidden') return true;
    throw error;
  }
}

/**
 * Server-side apply merges lists, so what another put into a list of ours stays, and may contradict it (two ports of one
 * name). Then the lists are replaced as a whole. What even that cannot do, an immutable field say, is the answer; and where
 * nothing is there yet, `isThere` false, the first refusal.
 */
async function applyOrReplace(
  objects: ObjectsOf,
  type: ResourceType,
  declared: KubeObject,
  isThere: boolean,
  signal: AbortSignal,
): Promise<KubeObject> {
  const key = keyOf(objects, declared.metadata.name);
  const replace = (): Promise<KubeObject> =>
    objects.api.mergePatch(type, key, { spec: declared['spec'] }, { signal });
  let applied: KubeObject;
  try {
    applied = await objects.api.apply(type, declared, { signal });
  } catch (error) {
    const mayContradict = isThere && declared['spec'] !== undefined;
    if (!(mayContradict && error instanceof KubeError && error.code === 'Invalid')) throw error;
    await replace();
    applied = await objects.api.apply(type, declared, { signal });
  }
  return declared['spec'] === undefined || firstDifference(declared, applied) === null ? applied : replace();
}

/** Deletes an object that is no longer declared, if it is one that a fleet made. */
export async function ensureAbsent(
  objects: ObjectsOf,
  type: ResourceType,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const live = await objects.api.get(type, keyOf(objects, name), signal);
  if (live?.metadata.labels?.['app.kubernetes.io/managed-by'] !== 'sealgate-operator') return;
  signal.throwIfAborted();
  const { uid } = live.metadata;
  await objects.api.delete(type, keyOf(objects, name), uid === undefined ? {} : { uid }, { signal });
  objects.onWrite(type.kind, name, 'metadata');
}
