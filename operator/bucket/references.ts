/** The KMSConnection of an EncryptedBucket: whether it may be used, and which buckets use which. Pure. */
import { type EncryptedBucket, parseEncryptedBucket } from '../../crds/encryptedbucket.ts';
import { parseKMSConnection } from '../../crds/kmsconnection.ts';
import { InvalidResourceError } from '../../crds/resource.ts';
import { isNamespaceAllowed } from '../kms/allowedNamespaces.ts';
import type { Cache } from '../kube/kubeApi.ts';
import { keyOf, keyText } from '../kube/paths.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';

/** The key of the connection that a bucket refers to. */
export function connectionOf({ metadata, spec: { kmsConnectionRef } }: EncryptedBucket): ObjectKey {
  return { namespace: kmsConnectionRef.namespace ?? metadata.namespace, name: kmsConnectionRef.name };
}

export interface ReferenceCaches {
  /** KMSConnections, whole objects. */
  readonly connections: Cache;
  /** Metadata of Namespaces. */
  readonly namespaces: Cache;
}

/**
 * Whether the connection is there and permits the bucket's namespace. The two must look alike to the asker, or a
 * namespace could find out what is in another. A connection that is on its way out takes no new buckets.
 */
export function isReferencePermitted(
  { connections, namespaces }: ReferenceCaches,
  bucket: EncryptedBucket,
): boolean {
  const key = connectionOf(bucket);
  const found = connections.get(key);
  if (found === undefined || found.metadata.deletionTimestamp !== undefined) return false;
  const name = bucket.metadata.namespace;
  const namespace = namespaces.get({ namespace: '', name });
  try {
    const { spec } = parseKMSConnection(found);
    const labels = namespace === undefined ? undefined : (namespace.metadata.labels ?? {});
    return isNamespaceAllowed(spec.allowedNamespaces, key.namespace, { name, labels });
  } catch (error) {
    // What cannot be read permits nothing.
    if (error instanceof InvalidResourceError) return false;
    throw error;
  }
}

/** Indexes for the cache of EncryptedBuckets. `connection`: `namespace/name` of the KMSConnection. */
export const BUCKET_INDEXES = {
  connection: (object: KubeObject): readonly string[] => {
    try {
      return [keyText(connectionOf(parseEncryptedBucket(object)))];
    } catch (error) {
      // The reconcile of that object tells what is wrong with it.
      if (error instanceof InvalidResourceError) return [];
      throw error;
    }
  },
} as const;

/** The buckets that a change of that KMSConnection concerns, from a cache with BUCKET_INDEXES. */
export function bucketsOfConnection(buckets: Cache, connection: KubeObject): readonly ObjectKey[] {
  return buckets.byIndex('connection', keyText(keyOf(connection))).map(keyOf);
}

/** The buckets that a change of that Namespace's labels concerns. */
export function bucketsOfNamespace(buckets: Cache, namespace: KubeObject): readonly ObjectKey[] {
  return buckets.list(namespace.metadata.name).map(keyOf);
}
