/**
 * Conditions of all custom resources as metrics, counted at the time of a scrape: how many there are by status and
 * reason, and by name only those that are not ready, so that the number of series does not grow with what is in order.
 */
import { Gauge, type Registry } from 'prom-client';
import type { Cache } from '../kube/kubeApi.ts';
import { conditionsOf } from './conditions.ts';

/** Objects by name, for each kind; more would be a flood when all of a kind have the same trouble. */
const NAMED_LIMIT = 100;

/** Registers the metrics; call it once per registry. */
export function registerConditionMetrics(registry: Registry, caches: readonly Cache[]): void {
  const registers = [registry];
  new Gauge({
    name: 'sealgate_operator_conditions',
    help: 'Resources by condition, status and reason.',
    labelNames: ['kind', 'condition', 'status', 'reason'] as const,
    registers,
    collect() {
      this.reset();
      for (const { type, list } of listed(caches)) {
        for (const object of list) {
          for (const { type: condition, status, reason } of conditionsOf(object)) {
            this.inc({ kind: type.kind, condition, status, reason });
          }
        }
      }
    },
  });
  new Gauge({
    name: 'sealgate_operator_resource_not_ready',
    help: `1 for each resource that is not ready, ${NAMED_LIMIT} of a kind at most; sealgate_operator_conditions counts all.`,
    labelNames: ['kind', 'namespace', 'name', 'reason'] as const,
    registers,
    collect() {
      this.reset();
      for (const { type, list } of listed(caches)) {
        let named = 0;
        for (const object of list) {
          const ready = conditionsOf(object).find((condition) => condition.type === 'Ready');
          if (ready === undefined || ready.status === 'True') continue;
          if (named === NAMED_LIMIT) break;
          named += 1;
          const { namespace = '', name } = object.metadata;
          this.set({ kind: type.kind, namespace, name, reason: ready.reason }, 1);
        }
      }
    },
  });
}

const listed = (caches: readonly Cache[]) =>
  caches.map((cache) => ({ type: cache.type, list: cache.list() }));
