/**
 * How a container of the image starts. The Dockerfile says the same; a test compares the two.
 *
 * OCI image configuration: https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
 */
import type { Product } from './appLayer.ts';
import { USER_ID } from './runtimeLayer.ts';

/** What the launcher `dataplane/sealgate` gives Node.js, but for the compiled code, which an image cannot keep. */
const NODE = ['/usr/bin/node', '--disable-sigusr1', '--disable-warning=ExperimentalWarning'];

export interface ContainerSettings {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
}

/** @param revision the commit, where a release names it; it is part of the image's identity */
export function containerSettings(product: Product, revision?: string): ContainerSettings {
  return {
    User: `${USER_ID}:0`,
    Env: ['PATH=/usr/bin', 'MALLOC_ARENA_MAX=4'],
    Entrypoint: [...NODE, '/app/dataplane/main.js'],
    WorkingDir: '/',
    Labels: {
      'org.opencontainers.image.title': 'sealgate',
      'org.opencontainers.image.description': product.description,
      'org.opencontainers.image.licenses': product.license,
      'org.opencontainers.image.version': product.version,
      ...(revision === undefined ? {} : { 'org.opencontainers.image.revision': revision }),
    },
  };
}

/** The configuration blob of an image of these layers. */
export function imageConfig(
  settings: ContainerSettings,
  architecture: string,
  layers: readonly { readonly diffId: string; readonly title: string }[],
): object {
  const created = new Date(0).toISOString();
  return {
    created,
    architecture,
    os: 'linux',
    config: settings,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ title }) => ({ created, created_by: title })),
  };
}

/** The name that OCI has for this machine's architecture. @throws Error for one that Sealgate is not built for */
export function architectureOf(arch: string): string {
  const name = new Map([
    ['x64', 'amd64'],
    ['arm64', 'arm64'],
  ]).get(arch);
  if (name === undefined) throw new Error(`no image is built for the architecture ${arch}`);
  return name;
}
