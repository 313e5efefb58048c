/** Puts together what the admin API's status tells. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { cryptoSupport } from '../admin/cryptoSupport.ts';
import type { Status } from '../admin/schema/status.ts';
import type { KeyHolder } from '../keys/holder.ts';
import type { Phase } from '../monitoring/monitoringServer.ts';
import type { Reloader } from './reload.ts';

export interface StatusSources {
  readonly version: string;
  readonly incarnation: string;
  readonly startedMs: number;
  readonly workers: number;
  readonly phase: () => Phase;
  readonly reloader: Pick<Reloader, 'inForce' | 'loadedMs' | 'refused'>;
  readonly keys: Pick<KeyHolder, 'status'>;
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Rejects when the key holder or the disk cannot be asked. */
export async function collectStatus(sources: StatusSources): Promise<Status> {
  const { inForce, loadedMs, refused } = sources.reloader;
  const { installation, metadata, blobs } = inForce.settings;
  const [kms, metadataFree, blobsFree, crypto] = await Promise.all([
    sources.keys.status(),
    freeBytes(dirname(metadata.path)),
    freeBytes(blobs.path),
    cryptoSupport(),
  ]);
  const revisions = new Map(
    inForce.connections.inForce.map((connection) => [connection.settings.name, connection.revision]),
  );
  return {
    version: sources.version,
    installationId: installation.id,
    incarnation: sources.incarnation,
    startedAt: iso(sources.startedMs),
    phase: sources.phase(),
    config: {
      hash: inForce.hash,
      revision: inForce.revision,
      loadedAt: iso(loadedMs),
      refused: refused === null ? null : { at: iso(refused.atMs), problems: [...refused.problems] },
    },
    kms: kms.map(({ name, endpoints, cachedKeys, clientCertificateExpiresMs }) => ({
      name,
      revision: revisions.get(name) ?? null,
      cachedKeys,
      certificateNotAfter: iso(clientCertificateExpiresMs),
      endpoints: endpoints.map(({ host, port, tier, state, protocolVersion, vendor, lastError }) => ({
        host,
        port,
        tier,
        state,
        protocolVersion,
        vendor,
        message: lastError,
      })),
    })),
    refusedConnections: inForce.connections.refused.map(({ file, problems, sinceMs }) => ({
      file,
      name: inForce.connections.inForce.find((good) => good.file === file)?.settings.name ?? null,
      at: iso(sinceMs),
      problems: [...problems],
    })),
    storage: {
      metadata: { engine: metadata.engine, freeBytes: metadataFree },
      blobs: { engine: blobs.engine, freeBytes: blobsFree },
    },
    crypto,
    workers: sources.workers,
  };
}
