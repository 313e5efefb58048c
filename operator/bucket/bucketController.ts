/** The controller of EncryptedBuckets: which changes lead to which buckets. */
import { ofAccessSecret, ofConnection, ofNamespace, ofResource } from '../changes.ts';
import type { ObservedCache } from '../kube/cache.ts';
import { Controller, type ControllerOptions } from '../runtime/controller.ts';
import { bucketsOfSecret } from './access/accessSecret.ts';
import { type EncryptedBucketDeps, EncryptedBucketReconciler } from './encryptedBucketReconciler.ts';
import { bucketsOfConnection, bucketsOfNamespace } from './references.ts';

export interface BucketControllerDeps extends EncryptedBucketDeps {
  /** With BUCKET_INDEXES. */
  readonly buckets: ObservedCache;
  readonly connections: ObservedCache;
  readonly namespaces: ObservedCache;
  /** With SECRET_INDEXES. */
  readonly secrets: ObservedCache;
}

/** For one term of leading. */
export function bucketController(
  deps: BucketControllerDeps,
  parts: Omit<ControllerOptions, 'reconciler' | 'caches'>,
): Controller {
  const { buckets, connections, namespaces, secrets } = deps;
  const controller = new Controller({
    ...parts,
    reconciler: new EncryptedBucketReconciler(deps),
    caches: [buckets, connections, namespaces, secrets],
  });
  controller.watch(buckets, undefined, ofResource);
  controller.watch(connections, (object) => bucketsOfConnection(buckets, object), ofConnection);
  controller.watch(namespaces, (object) => bucketsOfNamespace(buckets, object), ofNamespace);
  controller.watch(secrets, bucketsOfSecret, ofAccessSecret);
  return controller;
}
