/** Container images as OCI archives: a layout with one image of one layer, in one tar file. Pure. */
import { createHash } from 'node:crypto';
import { type TarEntry, tarOf } from './tar.ts';

export interface ImageContent {
  /** With a host that has a dot, such as sealgate.test/busybox:1: other names are expanded to a public registry's. */
  readonly name: string;
  readonly architecture: string;
  readonly entries: readonly TarEntry[];
  readonly entrypoint: readonly string[];
  readonly env?: readonly string[];
}

/** The archive, as `ctr images import` reads it (OCI image layout 1.0.0). */
export function ociArchive(image: ImageContent): Buffer {
  const layer = tarOf(image.entries);
  const blobs: Buffer[] = [];
  const descriptor = (mediaType: string, content: Buffer) => {
    blobs.push(content);
    return { mediaType, digest: digestOf(content), size: content.length };
  };
  const json = (value: object) => Buffer.from(JSON.stringify(value));
  const config = descriptor(
    'application/vnd.oci.image.config.v1+json',
    json({
      architecture: image.architecture,
      os: 'linux',
      config: { Entrypoint: image.entrypoint, Env: image.env ?? ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    }),
  );
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = descriptor(
    manifestType,
    json({
      schemaVersion: 2,
      mediaType: manifestType,
      config,
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  );
  const index = {
    schemaVersion: 2,
    manifests: [{ ...manifest, annotations: { 'io.containerd.image.name': image.name } }],
  };
  return tarOf([
    { path: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }), mode: 0o644 },
    { path: 'index.json', content: json(index), mode: 0o644 },
    ...blobs.map((content) => ({
      path: `blobs/sha256/${digestOf(content).slice('sha256:'.length)}`,
      content,
      mode: 0o644,
    })),
  ]);
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}
