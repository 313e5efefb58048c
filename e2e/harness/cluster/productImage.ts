/** The product's image in a cluster: built once from the checkout, as `make image` builds it. */
import path from 'node:path';
import { buildImage } from '../../../.tools/image/image.ts';
import type { Cluster } from './cluster.ts';

/** Builds the image, puts it on all nodes and resolves to its name. `revision` makes another image of the same code. */
export async function importProductImage(cluster: Cluster, revision?: string): Promise<string> {
  const outFolder = path.join(cluster.folder, 'images');
  const { archivePath, name } = buildImage({ outFolder, ...(revision === undefined ? {} : { revision }) });
  await cluster.importImage(archivePath);
  return name;
}
