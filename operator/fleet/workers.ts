/** How many S3 threads a pod has. */
import type { FleetSpec } from './fleetSpec.ts';
import { quantityValue } from './quantity.ts';

/**
 * `auto` becomes a number where no CPU limit says to the data plane how many cores it has: without one it would see all
 * cores of the node, and take memory for a thread on each. Two at least, because one leaves a second core unused.
 */
export function workersOf({ workers, resources }: Pick<FleetSpec, 'workers' | 'resources'>): number | 'auto' {
  if (workers !== 'auto' || resources.limits.cpu !== undefined) return workers;
  return Math.max(2, Math.min(256, Math.ceil(quantityValue(resources.requests.cpu ?? '1') ?? 1)));
}
