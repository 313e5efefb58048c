/**
 * The image of the sample application: Node.js and the AWS SDK from npm, and nothing of Sealgate. The application itself
 * comes with docs/samples/application.yaml.
 */
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type Layer, layerOf } from '../../../.tools/image/blobs.ts';
import { architectureOf, imageConfig } from '../../../.tools/image/imageConfig.ts';
import { manifestOf, ociArchive } from '../../../.tools/image/ociArchive.ts';
import { packageEntries } from '../../../.tools/image/packages.ts';
import { pinnedNode, runtimeLayer } from '../../../.tools/image/runtimeLayer.ts';
import type { Cluster } from './cluster.ts';
import { cacheFolder } from './programs.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');
const IMAGE = 'sealgate.test/application:1';
const SDK = '@aws-sdk/client-s3';

const lockFile = z.object({
  packages: z.record(z.string(), z.object({ dependencies: z.record(z.string(), z.string()).optional() })),
});

/** Builds it and puts it on all nodes, under the name that the sample has. */
export async function importApplicationImage(cluster: Cluster): Promise<void> {
  const cache = path.join(cacheFolder(), 'image');
  const layers: Layer[] = [
    layerOf('runtime', runtimeLayer(pinnedNode(ROOT)), cache),
    layerOf('packages', sdkEntries(), cache),
  ];
  const architecture = architectureOf(process.arch);
  const settings = {
    User: '65532:0',
    Env: ['PATH=/usr/bin'],
    Entrypoint: ['/usr/bin/node'],
    WorkingDir: '/app',
    Labels: { 'org.opencontainers.image.title': 'sample application' },
  };
  const archive = path.join(cluster.folder, 'application.tar');
  const image = manifestOf(imageConfig(settings, architecture, layers), layers);
  await writeFile(archive, ociArchive(image, IMAGE, architecture));
  await cluster.importImage(archive);
}

/** The SDK and all that it needs, as the lock file has them, in /app/node_modules. */
function sdkEntries(): ReturnType<typeof packageEntries> {
  const { packages } = lockFile.parse(JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')));
  const needed = new Set<string>();
  const add = (place: string): void => {
    if (needed.has(place)) return;
    needed.add(place);
    for (const name of Object.keys(packages[place]?.dependencies ?? {})) add(placeOf(name, place, packages));
  };
  add(`node_modules/${SDK}`);
  const folders = [...needed].map((place) => `app/${place}`);
  return packageEntries(path.join(ROOT, 'node_modules'), 'app/node_modules').filter(({ path: file }) =>
    folders.some((folder) => file.startsWith(`${folder}/`)),
  );
}

/** Where a package finds another: beside itself first, then further up (Node.js, node_modules folders). */
function placeOf(name: string, from: string, packages: Readonly<Record<string, unknown>>): string {
  for (let folder = `${from}/`; ; folder = folder.slice(0, folder.lastIndexOf('node_modules/'))) {
    const place = `${folder}node_modules/${name}`;
    if (place in packages) return place;
    if (folder === '') throw new Error(`the lock file has no ${name} for ${from}`);
  }
}
