/** How the Prometheus operator finds what to scrape (monitoring.coreos.com/v1): the pods, and the operator itself. */
import type { KubeObject } from '../kube/resource.ts';
import { type FleetContext, head } from './fleetContext.ts';
import { selectorLabels } from './labels.ts';
import { fleetNames } from './names.ts';

function monitor(
  context: FleetContext,
  component: 'dataplane' | 'operator',
  name: string,
): KubeObject | null {
  const { enabled, interval, labels } = context.spec.serviceMonitor;
  if (!enabled) return null;
  return {
    ...head(context, 'monitoring.coreos.com/v1', 'ServiceMonitor', name, { labels }),
    spec: {
      selector: {
        matchLabels: { ...selectorLabels(context.name, component), 'sealgate.io/service': 'metrics' },
      },
      // Our labels `endpoint` (of a KMS) and `namespace` (of a resource) are named as labels that the Prometheus operator
      // sets: ours must win, or the alerts speak of the wrong thing.
      endpoints: [{ port: 'metrics', path: '/metrics', interval, honorLabels: true }],
    },
  };
}

/** null: none is wanted. */
export function serviceMonitor(context: FleetContext): KubeObject | null {
  return monitor(context, 'dataplane', fleetNames(context.name).serviceMonitor);
}

/** Of the operator, whose Service is the chart's. null: none is wanted. */
export function operatorServiceMonitor(context: FleetContext): KubeObject | null {
  return monitor(context, 'operator', fleetNames(context.name).operatorServiceMonitor);
}
