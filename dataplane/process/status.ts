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

/**
 * `only`: of the KMS connections tell that one alone, so that what it costs does not grow with their number. Rejects when
 * the key holder or the disk cannot be asked.
 */
export async function collectStatus(sources: StatusSources, only: string | null = null): Promise<Status> {
  const { inForce, loadedMs, refused } = sources.reloader;
  const { installation, metadata, blobs } = inForce.settings;
  const [kms, metadataFree, blobsFree, crypto] = await Promise.all([
    sources.keys.status(only ?? undefined),
    freeBytes(dirname(metadata.path)),
    freeBytes(blobs.path),
    cryptoSupport(),
  ]);
  const concerned = inForce.connections.inForce.filter(
    ({ settings }) => only === null || settings.name === only,
  );
  const revisions = new Map(concerned.map(({ settings, revision }) => [settings.name, revision]));
  const nameOf = (file: string): string | null =>
    inForce.connections.inForce.find((good) => good.file === file)?.settings.name ?? null;
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
    refusedConnections: inForce.connections.refused
      .map(({ file, problems, sinceMs }) => ({
        file,
        name: nameOf(file),
        at: iso(sinceMs),
        problems: [...problems],
      }))
      // One that was never good has no name: it could be any.
      .filter(({ name }) => only === null || name === null || name === only),
    storage: {
      metadata: { engine: metadata.engine, freeBytes: metadataFree },
      blobs: { engine: blobs.engine, freeBytes: blobsFree },
    },
    crypto,
    workers: sources.workers,
  };
}
