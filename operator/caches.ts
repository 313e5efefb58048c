/**
 * The caches that all controllers read, and the reflectors that keep them.
 *
 * Owns what is watched and how much of it: of Secrets and ConfigMaps only the metadata, so that no content of a tenant is
 * in this process but while a reconcile works with it.
 */

import { SECRET_INDEXES } from './bucket/access/accessSecret.ts';
import { BUCKET_INDEXES } from './bucket/references.ts';
import { selectorLabels } from './fleet/labels.ts';
import { CONNECTION_INDEXES } from './kms/references.ts';
import { type IndexValues, ObjectCache } from './kube/cache.ts';
import { CONFIG_MAP, ENCRYPTED_BUCKET, KMS_CONNECTION, NAMESPACE, POD, SECRET } from './kube/kinds.ts';
import { Reflector } from './kube/reflector.ts';
import type { ResourceType } from './kube/resource.ts';
import type { OperatorContext } from './operator.ts';

export interface OperatorCaches {
  readonly connections: ObjectCache;
  readonly buckets: ObjectCache;
  /** Metadata alone, as the next two. */
  readonly secrets: ObjectCache;
  readonly configMaps: ObjectCache;
  readonly namespaces: ObjectCache;
  /** The fleet's pods, whole. */
  readonly pods: ObjectCache;
}

export interface ObservedCaches {
  readonly caches: OperatorCaches;
  /** Keeps them until the signal aborts. */
  readonly observe: (signal: AbortSignal) => Promise<void>;
}

interface Watched {
  readonly indexes?: Readonly<Record<string, IndexValues>>;
  readonly namespaces?: readonly string[] | undefined;
  readonly labelSelector?: string;
  readonly metadataOnly?: boolean;
  readonly forbiddenIsEmpty?: boolean;
}

/** The caches of one process; nothing is asked before `observe`. */
export function createCaches(context: OperatorContext): ObservedCaches {
  const { options, client, clock, random, log, apiMetrics } = context;
  const { namespace, watchNamespaces } = options;
  const reflectors: Reflector[] = [];
  const watched = (type: ResourceType, what: Watched): ObjectCache => {
    const { indexes = {}, namespaces, ...selection } = what;
    const cache = new ObjectCache({ type, indexes, namespaces });
    const times = { api: client, clock, random, log, metrics: apiMetrics };
    reflectors.push(new Reflector({ ...times, cache, namespaces, ...selection }));
    return cache;
  };
  const tenants = watchNamespaces;
  // The fleet's own Secrets and ConfigMaps are watched too.
  const everywhere = tenants === undefined ? undefined : [...new Set([...tenants, namespace])];
  const labelSelector = Object.entries(selectorLabels(options.name, 'dataplane'))
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
  const contents = { namespaces: everywhere, metadataOnly: true, forbiddenIsEmpty: true };
  const caches: OperatorCaches = {
    connections: watched(KMS_CONNECTION, { namespaces: tenants, indexes: CONNECTION_INDEXES }),
    buckets: watched(ENCRYPTED_BUCKET, { namespaces: tenants, indexes: BUCKET_INDEXES }),
    secrets: watched(SECRET, { ...contents, indexes: SECRET_INDEXES }),
    configMaps: watched(CONFIG_MAP, contents),
    namespaces: watched(NAMESPACE, { metadataOnly: true }),
    pods: watched(POD, { namespaces: [namespace], labelSelector }),
  };
  return {
    caches,
    observe: async (signal) => {
      await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
    },
  };
}
