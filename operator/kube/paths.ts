/** Where the API server keeps objects (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris). */
import type { ObjectKey, ResourceType } from './resource.ts';

/** What the API server has of the kind's group in its version. */
export function discoveryPath({ group, version }: ResourceType): string {
  return group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
}

function collection(type: ResourceType, namespace: string): string {
  const root = discoveryPath(type);
  return type.namespaced && namespace !== ''
    ? `${root}/namespaces/${encodeURIComponent(namespace)}/${type.plural}`
    : `${root}/${type.plural}`;
}

/** All objects of a kind: of one namespace, or with an empty `namespace` of all. */
export function collectionPath(type: ResourceType, namespace = ''): string {
  return collection(type, namespace);
}

/** One object. A namespaced kind needs a namespace. */
export function objectPath(type: ResourceType, key: ObjectKey, subresource?: 'status'): string {
  if (type.namespaced && key.namespace === '')
    throw new RangeError(`${type.kind} ${key.name} has no namespace`);
  if (key.name === '') throw new RangeError(`${type.kind} without a name`);
  const path = `${collection(type, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** `group/plural`, or `plural` of the core group: how metrics and logs call a kind. */
export function resourceName(type: ResourceType): string {
  return type.group === '' ? type.plural : `${type.group}/${type.plural}`;
}

/** `namespace/name`, or `name` of what is in no namespace. */
export function keyText(key: ObjectKey): string {
  return key.namespace === '' ? key.name : `${key.namespace}/${key.name}`;
}

/** The key of an object. */
export function keyOf(object: {
  readonly metadata: { readonly name: string; readonly namespace?: string };
}): ObjectKey {
  return { namespace: object.metadata.namespace ?? '', name: object.metadata.name };
}
