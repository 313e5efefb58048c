/** The three Services of a fleet: S3 for applications, admin for the operator, metrics for Prometheus. */
import type { KubeObject } from '../kube/resource.ts';
import { type FleetContext, head } from './fleetContext.ts';
import { selectorLabels } from './labels.ts';
import { fleetNames, PORTS } from './names.ts';

/** The port of the S3 Service. */
export function s3ServicePort({ spec }: FleetContext): number {
  return spec.s3.service.port ?? (spec.s3.tls ? 443 : 80);
}

/** Its addresses come into the certificate, so it is made before everything else. */
export function s3Service(context: FleetContext): KubeObject {
  const { type, annotations } = context.spec.s3.service;
  return {
    ...head(context, 'v1', 'Service', fleetNames(context.name).s3Service, { annotations }),
    spec: {
      type,
      ipFamilyPolicy: 'PreferDualStack',
      selector: selectorLabels(context.name, 'dataplane'),
      ports: [
        {
          name: context.spec.s3.tls ? 'https' : 'http',
          port: s3ServicePort(context),
          targetPort: 's3',
          protocol: 'TCP',
          appProtocol: context.spec.s3.tls ? 'https' : 'http',
        },
      ],
    },
  };
}

/** Also of pods that are not ready: a pod that refuses its configuration must be asked why. */
export function adminService(context: FleetContext): KubeObject {
  return {
    ...head(context, 'v1', 'Service', fleetNames(context.name).adminService),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: selectorLabels(context.name, 'dataplane'),
      ports: [
        { name: 'admin', port: PORTS.admin, targetPort: 'admin', protocol: 'TCP', appProtocol: 'https' },
      ],
    },
  };
}

/** Headless: each pod is scraped by itself. */
export function metricsService(context: FleetContext): KubeObject {
  const labels = { 'sealgate.io/service': 'metrics' };
  return {
    ...head(context, 'v1', 'Service', fleetNames(context.name).metricsService, { labels }),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: selectorLabels(context.name, 'dataplane'),
      ports: [
        { name: 'metrics', port: PORTS.metrics, targetPort: 'metrics', protocol: 'TCP', appProtocol: 'http' },
      ],
    },
  };
}
