/** The one cluster of a test run: started before the first case file, removed after the last. */
import { fileURLToPath } from 'node:url';
import { inject } from 'vitest';
import type { TestProject } from 'vitest/node';
import { type Cluster, openCluster } from './cluster.ts';
import { importProductImage } from './productImage.ts';
import { startCluster } from './startCluster.ts';

const CRD_FILES = ['kmsconnections', 'encryptedbuckets'].map((name) =>
  fileURLToPath(new URL(`../../../crds/${name}.yaml`, import.meta.url)),
);

declare module 'vitest' {
  interface ProvidedContext {
    clusterFolder: string;
    productImage: string;
  }
}

/** Vitest's global setup, in the process that outlives all case files. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startCluster();
  project.provide('clusterFolder', cluster.folder);
  project.provide('productImage', await importProductImage(cluster));
  // Every release of a case file is one of several: the custom resources are the cluster's.
  for (const file of CRD_FILES) await cluster.kubectl(['apply', '-f', file]);
  return async () => await cluster.close();
}

/** Name of the product's image in the shared cluster. */
export function sharedImage(): string {
  return inject('productImage');
}

/** The cluster, for a case file. It must not be closed there; what a file makes, it makes in its own namespaces. */
export function sharedCluster(): Cluster {
  return openCluster(inject('clusterFolder'));
}
