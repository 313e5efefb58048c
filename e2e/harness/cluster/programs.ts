/** Where the programs of a cluster are: in the cache folder, put there by .tools/clusterBinaries.sh. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClusterError } from './clusterError.ts';

const PINS = fileURLToPath(new URL('../../cluster', import.meta.url));

/** Releases of Kubernetes that an API server is built of: the one that the tests run, and the oldest supported. */
export type KubernetesRelease = '1.36' | '1.32';

/** Each program's folder under e2e/cluster, with what decides its content. */
const MODULE_OF = {
  coredns: 'coredns',
  etcd: 'etcd',
  helm: 'kubectl',
  'kube-apiserver': 'kubernetes',
  'kube-controller-manager': 'kubernetes',
  'kube-proxy': 'kubernetes',
  'kube-scheduler': 'kubernetes',
  kubectl: 'kubectl',
  kubelet: 'kubernetes',
  prometheus: 'prometheus',
  promtool: 'prometheus',
} as const;

export type Program = keyof typeof MODULE_OF;

/** The project's, outside of the checkout. */
export function cacheFolder(): string {
  const { SEALGATE_CACHE, XDG_CACHE_HOME } = process.env;
  return SEALGATE_CACHE ?? path.join(XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'sealgate');
}

/** The script names folders by the same hash: that of what sha256sum says of the module's files. */
function folderOf(module: string): string {
  const pins = path.join(PINS, module);
  const sums = readdirSync(pins)
    .toSorted()
    .map((name) => `${sha256(readFileSync(path.join(pins, name)))}  ${name}\n`);
  return path.join(cacheFolder(), 'cluster', `${module}-${sha256(sums.join('')).slice(0, 16)}`);
}

function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

/**
 * The path of a program; of kube-apiserver there are two releases.
 *
 * @throws ClusterError `programs_missing`, which says the command that puts it there
 */
export function programPath(program: Program, release: KubernetesRelease = '1.36'): string {
  const oldest = program === 'kube-apiserver' && release === '1.32';
  const module = oldest ? 'kubernetes-1.32' : MODULE_OF[program];
  const file = path.join(folderOf(module), program);
  if (!existsSync(file)) {
    const word = oldest ? 'kube-apiserver-1.32' : module === 'prometheus' ? module : 'all';
    throw new ClusterError('programs_missing', `no ${program}: run .tools/clusterBinaries.sh ${word}`);
  }
  return file;
}

/** Files with the Prometheus operator's ServiceMonitor and PrometheusRule (monitoring.coreos.com/v1). */
export function monitoringDefinitions(): readonly string[] {
  return ['servicemonitors', 'prometheusrules'].map((name) =>
    path.join(folderOf('monitoring'), `${name}.yaml`),
  );
}
