/**
 * sealgate.json: the data plane's configuration file (contract: dataplane/config) for the pods of a fleet.
 *
 * KMS connections are not in it: each has files of its own in the connections folder.
 */
import { createHmac } from 'node:crypto';
import type { FleetContext } from './fleetContext.ts';
import type { FleetSpec } from './fleetSpec.ts';
import { PATHS, PORTS } from './names.ts';
import { workersOf } from './workers.ts';

/** Identity of an installation, fixed for ever once there is data. */
export interface Installation {
  /** 32 hex characters. */
  readonly id: string;
  /** 64 hex characters; secret. */
  readonly key: string;
}

/** Listening on :: takes IPv4 as well, but fails where the kernel has no IPv6. */
function listen(port: number, clusterIPs: readonly string[]): string {
  return clusterIPs.some((address) => address.includes(':')) ? `[::]:${port}` : `0.0.0.0:${port}`;
}

/** kubelet's SIGKILL comes at the end of the grace: before, so that what is left is told to its client and closed. */
const BEFORE_KILL_MS = 1_000;

function shutdownLimit({ terminationGracePeriodSeconds }: FleetSpec): string {
  const graceMs = terminationGracePeriodSeconds * 1_000;
  return `${Math.max(graceMs - BEFORE_KILL_MS, graceMs / 2)}ms`;
}

/** The file without its revision. */
export function dataPlaneConfig(
  { spec }: FleetContext,
  installation: Installation,
  clusterIPs: readonly string[],
): Record<string, unknown> {
  return {
    apiVersion: 'config.sealgate.io/v1',
    kind: 'DataPlane',
    installation: { id: installation.id, region: spec.region, keyFile: 'installation.key' },
    s3: {
      listen: listen(PORTS.s3, clusterIPs),
      domains: spec.s3.domains,
      ...(spec.s3.tls ? { tls: { certFile: 's3.crt', keyFile: 's3.key' } } : {}),
    },
    admin: {
      listen: listen(PORTS.admin, clusterIPs),
      tokenFile: 'admin.token',
      tls: { certFile: 'admin.crt', keyFile: 'admin.key' },
    },
    monitoring: { listen: listen(PORTS.metrics, clusterIPs) },
    metadata: { engine: 'sqlite', path: PATHS.metadata },
    blobs: { engine: 'filesystem', path: PATHS.blobs },
    connectionsDir: 'connections/',
    ...(spec.defaultKmsConnection === null ? {} : { defaultKmsConnection: spec.defaultKmsConnection }),
    rootCredentials: { file: 'root.json' },
    policy: spec.policy,
    shutdownLimit: shutdownLimit(spec),
    workers: workersOf(spec),
    log: { level: spec.logLevel },
  };
}

function digest(installation: Installation, purpose: string, content: unknown): string {
  return createHmac('sha256', installation.key)
    .update(`${purpose}\n${JSON.stringify(content)}`)
    .digest('hex');
}

/**
 * Identifies the whole content that a pod should have in force. Keyed with the installation key, because a plain hash
 * over secrets would let somebody who sees it try passwords.
 */
export function configRevision(installation: Installation, files: Readonly<Record<string, string>>): string {
  const sorted = Object.entries(files).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return digest(installation, 'sealgate.io/config-revision', sorted);
}

/** Changes exactly when something changes that only a restart can put in force (dataplane/config/restart.ts). */
export function restartRevision(
  config: Readonly<Record<string, unknown>>,
  installation: Installation,
): string {
  const { s3, admin, monitoring, installation: identity, metadata, blobs, workers } = config;
  const fixed = {
    s3: listenAndTls(s3),
    admin: listenAndTls(admin),
    monitoring,
    identity,
    metadata,
    blobs,
    workers,
  };
  return digest(installation, 'sealgate.io/restart-revision', fixed).slice(0, 16);
}

function listenAndTls(server: unknown): unknown {
  if (typeof server !== 'object' || server === null || !('listen' in server)) return null;
  return { listen: server.listen, tls: 'tls' in server };
}
