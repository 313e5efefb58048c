/** The shipped alerts for the Prometheus operator (monitoring.coreos.com/v1); the chart hands over the rules. */
import { parse } from 'yaml';
import { z } from 'zod';
import type { KubeObject } from '../kube/resource.ts';
import { type FleetContext, head } from './fleetContext.ts';
import { FleetError } from './fleetSpec.ts';
import { fleetNames } from './names.ts';

const ruleFile = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string().min(1),
      interval: z.string().optional(),
      rules: z.array(
        z.strictObject({
          alert: z.string().min(1),
          expr: z.string().min(1),
          for: z.string().optional(),
          labels: z.record(z.string(), z.string()).optional(),
          annotations: z.record(z.string(), z.string()).optional(),
        }),
      ),
    }),
  ),
});

export type AlertGroup = z.output<typeof ruleFile>['groups'][number];

/**
 * The groups of all rule files (Prometheus' own form), in the order of the files' names.
 *
 * @throws FleetError naming the file that is not such rules
 */
export function parseAlertGroups(files: Readonly<Record<string, string>>): AlertGroup[] {
  return Object.entries(files)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, text]) => {
      try {
        return ruleFile.parse(parse(text)).groups;
      } catch (cause) {
        throw new FleetError([{ path: name, message: 'is not a file of alert rules' }], { cause });
      }
    });
}

/** null: none is wanted, or there are no rules. */
export function prometheusRule(context: FleetContext, groups: readonly AlertGroup[]): KubeObject | null {
  const { enabled, labels } = context.spec.prometheusRule;
  if (!enabled || groups.length === 0) return null;
  return {
    ...head(context, 'monitoring.coreos.com/v1', 'PrometheusRule', fleetNames(context.name).prometheusRule, {
      labels,
    }),
    spec: { groups },
  };
}
