import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ociArchive } from './ociArchive.ts';
import { tarOf } from './tar.ts';

const entries = [{ path: 'tool', content: Buffer.from('a tool'), mode: 0o755 }];
const image = { name: 'sealgate.test/tool:1', architecture: 'amd64', entries, entrypoint: ['/tool'] };

/** The files of an archive that holds files alone. */
function filesOf(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let at = 0; archive[at] !== 0; ) {
    const text = (offset: number, length: number) =>
      archive.toString('latin1', at + offset, at + offset + length).replace(/\0.*$/, '');
    const size = Number.parseInt(text(124, 12), 8);
    files.set(text(0, 100), archive.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

const descriptor = z.object({ digest: z.string(), size: z.number() });

describe('an image archive', () => {
  const files = filesOf(ociArchive(image));
  const blob = (found: z.infer<typeof descriptor>): Buffer => {
    const content = files.get(`blobs/sha256/${found.digest.replace('sha256:', '')}`);
    if (content === undefined) throw new Error(`no blob ${found.digest}`);
    expect(content.length).toBe(found.size);
    expect(`sha256:${createHash('sha256').update(content).digest('hex')}`).toBe(found.digest);
    return content;
  };
  const parse = (content: Buffer | undefined): unknown => JSON.parse(content?.toString() ?? '');

  it('is an OCI layout whose index names the image as containerd reads it', () => {
    expect(parse(files.get('oci-layout'))).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(parse(files.get('index.json'))).toMatchObject({
      manifests: [{ annotations: { 'io.containerd.image.name': 'sealgate.test/tool:1' } }],
    });
  });

  it('holds one layer, and a configuration that names it and says what to run', () => {
    const index = z.object({ manifests: z.tuple([descriptor]) }).parse(parse(files.get('index.json')));
    const manifest = z
      .object({ config: descriptor, layers: z.tuple([descriptor]) })
      .parse(parse(blob(index.manifests[0])));
    expect(blob(manifest.layers[0]).equals(tarOf(entries))).toBe(true);
    expect(parse(blob(manifest.config))).toEqual({
      architecture: 'amd64',
      os: 'linux',
      config: { Entrypoint: ['/tool'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: [manifest.layers[0].digest] },
    });
  });

  it('has the same bytes each time', () => {
    expect(ociArchive(image).equals(ociArchive(image))).toBe(true);
  });
});
