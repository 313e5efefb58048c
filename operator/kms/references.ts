/** What a KMSConnection refers to, and which connections refer to something: indexes and event mappings. Pure. */

import { type KMSConnectionSpec, parseKMSConnection } from '../../crds/kmsconnection.ts';
import { InvalidResourceError } from '../../crds/resource.ts';
import type { Cache } from '../kube/kubeApi.ts';
import { keyOf, keyText } from '../kube/paths.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';

/** Names of Secrets in the connection's namespace. */
export function secretsOf({ kmip }: KMSConnectionSpec): readonly string[] {
  const { secretRef, caBundleRef } = kmip.tls;
  return [
    secretRef.name,
    ...(caBundleRef?.kind === 'Secret' ? [caBundleRef.name] : []),
    ...(kmip.credentialsSecretRef === undefined ? [] : [kmip.credentialsSecretRef.name]),
  ];
}

/** Names of ConfigMaps in the connection's namespace. */
export function configMapsOf({ kmip: { tls } }: KMSConnectionSpec): readonly string[] {
  return tls.caBundleRef?.kind === 'ConfigMap' ? [tls.caBundleRef.name] : [];
}

/** Indexes for the cache of KMSConnections; values are `namespace/name`. */
export const CONNECTION_INDEXES = {
  secret: (object: KubeObject): readonly string[] => referred(object, secretsOf),
  configMap: (object: KubeObject): readonly string[] => referred(object, configMapsOf),
} as const;

function referred(
  object: KubeObject,
  names: (spec: KMSConnectionSpec) => readonly string[],
): readonly string[] {
  try {
    const { metadata, spec } = parseKMSConnection(object);
    return names(spec).map((name) => keyText({ namespace: metadata.namespace, name }));
  } catch (error) {
    // The reconcile of that object tells what is wrong with it.
    if (error instanceof InvalidResourceError) return [];
    throw error;
  }
}

/** The connections that a change of that Secret or ConfigMap concerns, from a cache with CONNECTION_INDEXES. */
export function connectionsReferringTo(
  connections: Cache,
  index: keyof typeof CONNECTION_INDEXES,
  object: KubeObject,
): readonly ObjectKey[] {
  return connections.byIndex(index, keyText(keyOf(object))).map(keyOf);
}
