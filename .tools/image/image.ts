/**
 * Builds the image of data plane and operator, without a container engine.
 *
 * Owns what is in it and how it is written down. It must not depend on anything but the sources, the lock file, the
 * pinned Node.js and this machine's C and C++ libraries: the same of these give the same image, byte for byte.
 */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../sources.ts';
import { appLayer, productOf } from './appLayer.ts';
import { layerOf, writeWhole } from './blobs.ts';
import type { Entry } from './entries.ts';
import { architectureOf, containerSettings, imageConfig } from './imageConfig.ts';
import { manifestOf, ociArchive, tagOf } from './ociArchive.ts';
import { installPackages } from './packages.ts';
import { pinnedNode, runtimeLayer } from './runtimeLayer.ts';

/** The repository of an image that is not named: a host that no network has, so that nobody pulls it by mistake. */
const REPOSITORY = 'sealgate.test/sealgate';

export interface ImageOptions {
  /** Repository and tag; default: one that names version and content, so that the same content has the same name. */
  readonly name?: string;
  /** Where the archive is put. */
  readonly outFolder: string;
  /** The commit, for the label of that name. */
  readonly revision?: string;
  /** Keeps packages and compressed layers; default: `image` in the project's cache folder. */
  readonly cacheFolder?: string;
  /** Layers above the product's own, lower one first: an image made from this one, such as a test's. */
  readonly above?: readonly ImageLayer[];
}

/** The files of one layer, and what its history calls it. */
export interface ImageLayer {
  readonly title: string;
  readonly entries: readonly Entry[];
}

export interface BuiltImage {
  /** An OCI archive, for `ctr images import`, skopeo and crane. */
  readonly archivePath: string;
  readonly name: string;
  /** Of the manifest: what a registry and a pod call the image. */
  readonly digest: string;
  /** Of the configuration: what the content is, however it is compressed. */
  readonly imageId: string;
  readonly sizeBytes: number;
}

/** The layers by title, lower one first. @param cacheFolder keeps the npm packages */
export function imageLayers(cacheFolder = defaultCacheFolder()): ImageLayer[] {
  const node = pinnedNode(ROOT);
  return [
    { title: 'runtime', entries: runtimeLayer(node) },
    { title: 'app', entries: appLayer(ROOT, installPackages(ROOT, cacheFolder, node)) },
  ];
}

/** Builds the image for this machine's architecture. What did not change since the last build is taken from the cache. */
export function buildImage(options: ImageOptions): BuiltImage {
  const { outFolder, revision, cacheFolder = defaultCacheFolder(), above = [] } = options;
  const product = productOf(ROOT);
  const architecture = architectureOf(process.arch);
  const layers = [...imageLayers(cacheFolder), ...above].map(({ title, entries }) =>
    layerOf(title, entries, cacheFolder),
  );
  const image = manifestOf(imageConfig(containerSettings(product, revision), architecture, layers), layers);
  const contentHash = image.config.digest.slice('sha256:'.length, 'sha256:'.length + 12);
  const name = options.name ?? `${REPOSITORY}:${product.version}-${contentHash}`;
  const archive = ociArchive(image, name, architecture);
  const archivePath = join(outFolder, `sealgate-${tagOf(name)}-${architecture}.tar`);
  mkdirSync(outFolder, { recursive: true });
  writeWhole(archivePath, archive);
  return {
    archivePath,
    name,
    digest: image.manifest.digest,
    imageId: image.config.digest,
    sizeBytes: archive.length,
  };
}

function defaultCacheFolder(): string {
  const { SEALGATE_CACHE: own, XDG_CACHE_HOME: user = join(homedir(), '.cache') } = process.env;
  return join(own ?? join(user, 'sealgate'), 'image');
}
