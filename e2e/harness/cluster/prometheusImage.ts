/** The image of a Prometheus for pods: the static program, and folders for what is mounted. */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Cluster } from './cluster.ts';
import { ociArchive } from './ociArchive.ts';
import { programPath } from './programs.ts';

export const PROMETHEUS_IMAGE = 'sealgate.test/prometheus:1';

/** Puts it on all nodes. */
export async function importPrometheusImage(cluster: Cluster): Promise<void> {
  const image = ociArchive({
    name: PROMETHEUS_IMAGE,
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    entries: [
      { path: 'bin', mode: 0o755 },
      { path: 'bin/prometheus', content: await readFile(programPath('prometheus')), mode: 0o755 },
      { path: 'etc', mode: 0o755 },
      { path: 'etc/prometheus', mode: 0o755 },
    ],
    entrypoint: ['/bin/prometheus'],
  });
  const archive = path.join(cluster.folder, 'prometheus.tar');
  await writeFile(archive, image);
  await cluster.importImage(archive);
}
