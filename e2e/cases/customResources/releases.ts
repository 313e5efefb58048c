/** The releases of Kubernetes whose API servers are asked: the one that the tests run, and the oldest supported. */
import type { KubernetesRelease } from '../../harness/cluster/programs.ts';

export const RELEASES: readonly KubernetesRelease[] = ['1.36', '1.32'];
