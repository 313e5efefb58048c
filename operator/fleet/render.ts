/** The whole fleet as objects: a pure function of the declared fleet and of the secrets that were made for it. */
import type { KubeObject } from '../kube/resource.ts';
import { type ConfigInputs, configSecret } from './configSecret.ts';
import { dataPlaneConfig, restartRevision } from './dataPlaneConfig.ts';
import type { FleetContext } from './fleetContext.ts';
import { networkPolicy } from './networkPolicy.ts';
import { type AlertGroup, prometheusRule } from './prometheusRule.ts';
import { serviceAccount } from './serviceAccount.ts';
import { operatorServiceMonitor, serviceMonitor } from './serviceMonitor.ts';
import { adminService, metricsService, s3Service } from './services.ts';
import { statefulSet } from './statefulSet.ts';

export interface RenderInputs extends ConfigInputs {
  readonly alertGroups: readonly AlertGroup[];
}

export interface RenderedFleet {
  /** In the order in which they are to be applied: what pods need comes before them. */
  readonly objects: readonly KubeObject[];
  /** Of the configuration in these objects; pods show it when it is in force. */
  readonly revision: string;
}

export function renderFleet(context: FleetContext, inputs: RenderInputs): RenderedFleet {
  const { secret, revision } = configSecret(context, inputs);
  const config = dataPlaneConfig(context, inputs.installation, inputs.clusterIPs);
  const objects = [
    s3Service(context),
    adminService(context),
    metricsService(context),
    serviceAccount(context),
    secret,
    networkPolicy(context),
    statefulSet(context, restartRevision(config, inputs.installation)),
    serviceMonitor(context),
    operatorServiceMonitor(context),
    prometheusRule(context, inputs.alertGroups),
  ];
  return { objects: objects.filter((object) => object !== null), revision };
}
