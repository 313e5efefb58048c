/** What the operator's process does from its start to its end, handed to runOperator. */
import { createCaches } from './caches.ts';
import type { OperatorContext, OperatorWork } from './operator.ts';
import { registerConditionMetrics } from './runtime/conditionMetrics.ts';
import { lead } from './term.ts';
import { createWorkMetrics } from './workMetrics.ts';

/** A fleet that needs a person makes the leader unready, so that `helm install --wait` says so. */
const NEEDS_A_PERSON: ReadonlySet<string> = new Set(['FleetInvalid', 'InstallationKeyMissing']);

/** The caches, kept in every process, and the controllers of the one that leads. */
export function createWork(context: OperatorContext): OperatorWork {
  const { caches, observe } = createCaches(context);
  const metrics = createWorkMetrics(context.registry);
  registerConditionMetrics(context.registry, [caches.connections, caches.buckets]);
  return {
    observe,
    lead: async (signal) => await lead(context, caches, metrics, signal),
    unready: () => {
      const waiting = Object.values(caches).filter(({ synced }) => !synced);
      const fleet = metrics.lastFleet();
      return [
        ...waiting.map(({ type }) => `${type.plural} are not listed yet`),
        ...(fleet !== null && NEEDS_A_PERSON.has(fleet.reason) ? [`${fleet.reason}: ${fleet.message}`] : []),
      ];
    },
  };
}
