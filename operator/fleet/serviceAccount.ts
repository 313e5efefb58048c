/** The pods' ServiceAccount: without any right, and without a token. */
import type { KubeObject } from '../kube/resource.ts';
import { type FleetContext, head } from './fleetContext.ts';
import { fleetNames } from './names.ts';

export function serviceAccount(context: FleetContext): KubeObject {
  return {
    ...head(context, 'v1', 'ServiceAccount', fleetNames(context.name).serviceAccount),
    automountServiceAccountToken: false,
  };
}
