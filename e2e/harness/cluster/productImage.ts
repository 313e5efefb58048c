/** The product's image in a cluster: built once from the checkout, as `make image` builds it. */
import path from 'node:path';
import { file } from '../../../.tools/image/entries.ts';
import { buildImage, type ImageOptions } from '../../../.tools/image/image.ts';
import { fakeTimeLibrary } from '../fakeTime.ts';
import type { Cluster } from './cluster.ts';

/** Where an image that can have another time keeps the library for it. */
export const LIBRARY_IN_IMAGE = '/usr/lib/libfaketime.so';

/** Builds the image, puts it on all nodes and resolves to its name. `revision` makes another image of the same code. */
export async function importProductImage(cluster: Cluster, revision?: string): Promise<string> {
  return await importImage(cluster, revision === undefined ? {} : { revision });
}

/** The same image with libfaketime in it, which does nothing until a container's environment says so; see hoursAhead(). */
export async function importDatedImage(cluster: Cluster): Promise<string> {
  const library = file(LIBRARY_IN_IMAGE.slice(1), await fakeTimeLibrary());
  return await importImage(cluster, { above: [{ title: 'libfaketime', entries: [library] }] });
}

async function importImage(cluster: Cluster, options: Omit<ImageOptions, 'outFolder'>): Promise<string> {
  const outFolder = path.join(cluster.folder, 'images');
  const { archivePath, name } = buildImage({ outFolder, ...options });
  await cluster.importImage(archivePath);
  return name;
}
