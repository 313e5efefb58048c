/** Names of everything that belongs to a fleet, and of what stands in its Secrets. */
import { createHash } from 'node:crypto';

/** Fixed name in the certificate of the admin port: the operator connects by pod address and asks for this name. */
export const ADMIN_SERVER_NAME = 'admin.sealgate.internal';

export const PORTS = { s3: 9000, admin: 9001, metrics: 9002 } as const;

/** Where things lie inside a data-plane pod. */
export const PATHS = {
  config: '/etc/sealgate',
  configFile: '/etc/sealgate/sealgate.json',
  connections: '/etc/sealgate/connections',
  data: '/var/lib/sealgate',
  metadata: '/var/lib/sealgate/metadata/metadata.db',
  blobs: '/var/lib/sealgate/blobs',
} as const;

const CONNECTION_SHARDS = 16;

/** Names of the objects of the fleet `name`. */
export function fleetNames(name: string) {
  return {
    statefulSet: name,
    pod: `${name}-0`,
    claim: `data-${name}-0`,
    s3Service: name,
    adminService: `${name}-admin`,
    metricsService: `${name}-metrics`,
    serviceAccount: `${name}-dataplane`,
    networkPolicy: `${name}-dataplane`,
    serviceMonitor: `${name}-dataplane`,
    operatorServiceMonitor: `${name}-operator`,
    prometheusRule: name,
    /** Written by the chart: the declared fleet. */
    fleetConfigMap: `${name}-fleet`,
    /** Written by the chart: the alert rules. */
    alertsConfigMap: `${name}-alerts`,
    installationSecret: `${name}-installation`,
    rootSecret: `${name}-root`,
    caSecret: `${name}-ca`,
    configSecret: `${name}-config`,
    connectionSecrets: Array.from(
      { length: CONNECTION_SHARDS },
      (_, shard) => `${name}-connections-${shard.toString(16)}`,
    ),
  } as const;
}

/** Name of the Secret that holds the files of the KMS connection `connection` (namespace/name). */
export function connectionSecretName(fleet: string, connection: string): string {
  const [shard] = createHash('sha256').update(connection).digest('hex');
  return `${fleet}-connections-${shard}`;
}
