/** The container of a data-plane pod: ports, probes, mounts and what it is forbidden (restricted pod security). */
import type { FleetContext } from './fleetContext.ts';
import { PATHS, PORTS } from './names.ts';

const MOUNTS = [
  { name: 'config', mountPath: PATHS.config, readOnly: true },
  { name: 'connections', mountPath: PATHS.connections, readOnly: true },
  { name: 'data', mountPath: PATHS.data },
  { name: 'tmp', mountPath: '/tmp' },
];

/**
 * A start after a crash may have to fold a large log into the database, so it may take five minutes; but it is looked at
 * every second, because with one pod each second of waiting is a second of outage.
 */
const PROBES = {
  startupProbe: {
    httpGet: { path: '/livez', port: 'metrics' },
    periodSeconds: 1,
    failureThreshold: 300,
    timeoutSeconds: 1,
  },
  readinessProbe: {
    httpGet: { path: '/readyz', port: 'metrics' },
    periodSeconds: 1,
    failureThreshold: 3,
    timeoutSeconds: 2,
  },
  livenessProbe: {
    httpGet: { path: '/livez', port: 'metrics' },
    periodSeconds: 10,
    failureThreshold: 6,
    timeoutSeconds: 5,
  },
};

export function dataPlaneContainer({ spec }: FleetContext): object {
  return {
    name: 'dataplane',
    image: spec.image,
    imagePullPolicy: spec.imagePullPolicy,
    args: ['serve', '--config', PATHS.configFile],
    ports: Object.entries(PORTS).map(([name, containerPort]) => ({ name, containerPort, protocol: 'TCP' })),
    resources: spec.resources,
    ...PROBES,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: MOUNTS,
  };
}
