/**
 * An image as one tar file that container engines and registry tools read.
 *
 * https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
 */
import { type Blob, blobOf, type Layer } from './blobs.ts';
import { type Entry, file, inOrder } from './entries.ts';
import { tarOf } from './tar.ts';

export interface Manifest {
  readonly config: Blob;
  readonly manifest: Blob;
  readonly layers: readonly Layer[];
}

/** The manifest of the layers and their configuration, which does not depend on the image's name. */
export function manifestOf(config: object, layers: readonly Layer[]): Manifest {
  const configBlob = blobOf('application/vnd.oci.image.config.v1+json', json(config));
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const content = {
    schemaVersion: 2,
    mediaType,
    config: descriptor(configBlob),
    layers: layers.map(({ blob }) => descriptor(blob)),
  };
  return { config: configBlob, manifest: blobOf(mediaType, json(content)), layers };
}

/** @param name repository and tag, such as `registry.example.com/sealgate:1.0.0` */
export function ociArchive(image: Manifest, name: string, architecture: string): Buffer {
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...descriptor(image.manifest),
        platform: { architecture, os: 'linux' },
        annotations: {
          'io.containerd.image.name': name,
          'org.opencontainers.image.ref.name': tagOf(name),
        },
      },
    ],
  };
  const blobs = [image.config, image.manifest, ...image.layers.map(({ blob }) => blob)];
  const entries: Entry[] = [
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', json(index)),
    ...blobs.map(({ digest, content }) => file(`blobs/${digest.replace(':', '/')}`, content)),
  ];
  return tarOf(inOrder(entries));
}

/** The tag of an image's name. @throws Error when it has no host with a dot or port, no repository or no tag */
export function tagOf(name: string): string {
  // Without a host in front, engines put a public registry there and look for the image in it.
  const tag = /^[a-z0-9-]+(?:\.[a-z0-9.-]+|:\d+|\.[a-z0-9.-]+:\d+)\/[a-z0-9._/-]+:([\w][\w.-]{0,127})$/.exec(
    name,
  )?.[1];
  if (tag === undefined) {
    throw new Error(
      `an image's name is like registry.example.com/sealgate:1.0.0, and not ${JSON.stringify(name)}`,
    );
  }
  return tag;
}

function descriptor({ mediaType, digest, content }: Blob): object {
  return { mediaType, digest, size: content.length };
}

function json(value: object): Buffer {
  return Buffer.from(JSON.stringify(value));
}
