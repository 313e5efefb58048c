/**
 * Renders the files of connections, and knows what is in force for each.
 *
 * What it refers to is read only when something of it has changed by the metadata caches: in the steady state the API
 * server is asked nothing. What is in force is kept in memory, since the operator itself speaks to the KMS with it.
 */
import { X509Certificate } from 'node:crypto';
import type { KMSConnection } from '../../crds/kmsconnection.ts';
import type { KmsConnectionSettings } from '../../dataplane/keys/settings.ts';
import type { Clock } from '../clock.ts';
import type { Cache, KubeApi } from '../kube/kubeApi.ts';
import type { ObjectKey } from '../kube/resource.ts';
import { type ConnectionFiles, connectionFiles, connectionName, settingsIn } from './connectionFile.ts';
import { type ConnectionShards, ShardError } from './connectionShards.ts';
import { type Material, MaterialError, readMaterial } from './material.ts';
import { configMapsOf, secretsOf } from './references.ts';

/** The files as they are rendered. `settings` hold secrets. */
export interface InForce {
  readonly revision: string;
  readonly settings: KmsConnectionSettings;
  /** End of the client certificate, Unix ms. */
  readonly notAfterMs: number;
}

export interface Rendering {
  /** Why what the resource refers to cannot be used; null: it is what is in force. */
  readonly problem: MaterialError | null;
  /** Why its files cannot be written; null: they are as they should be, or there is a problem before that. */
  readonly unwritten: ShardError | null;
  /** null: there has never been anything usable. */
  readonly inForce: InForce | null;
}

export interface ConnectionMaterialDeps {
  readonly kube: KubeApi;
  readonly shards: ConnectionShards;
  readonly secrets: Cache;
  readonly configMaps: Cache;
  readonly clock: Clock;
}

export class ConnectionMaterial {
  #deps: ConnectionMaterialDeps;
  #remembered = new Map<string, { readonly versions: string; readonly inForce: InForce }>();

  constructor(deps: ConnectionMaterialDeps) {
    this.#deps = deps;
  }

  /** Writes nothing when nothing differs. Rejects with KubeError. */
  async render(key: ObjectKey, connection: KMSConnection, signal: AbortSignal): Promise<Rendering> {
    const { shards, clock } = this.#deps;
    // Taken before anything is read: what is read can only be newer, and then its event comes after.
    const versions = this.#versions(key, connection);
    const known = this.#remembered.get(connectionName(key));
    if (known !== undefined && known.versions === versions && known.inForce.notAfterMs > clock.wallMs()) {
      return { problem: null, unwritten: null, inForce: known.inForce };
    }
    this.#remembered.delete(connectionName(key));
    const material = await this.#read(key, connection, signal);
    const shard = await shards.read(key, signal);
    const before = { inForce: inForceIn(key, shard.files) };
    if (material instanceof MaterialError) return { problem: material, unwritten: null, ...before };
    const { files } = connectionFiles(key, connection.spec, material);
    try {
      await shards.write(key, shard, files, signal);
    } catch (error) {
      if (!(error instanceof ShardError)) throw error;
      return { problem: null, unwritten: error, ...before };
    }
    const inForce = inForceIn(key, files);
    if (inForce === null) throw new TypeError('what was just rendered cannot be read back');
    if (versions !== null) this.#remembered.set(connectionName(key), { versions, inForce });
    return { problem: null, unwritten: null, inForce };
  }

  forget(key: ObjectKey): void {
    this.#remembered.delete(connectionName(key));
  }

  async #read(
    key: ObjectKey,
    { spec }: KMSConnection,
    signal: AbortSignal,
  ): Promise<Material | MaterialError> {
    try {
      return await readMaterial(this.#deps.kube, key.namespace, spec, this.#deps.clock.wallMs(), signal);
    } catch (error) {
      if (error instanceof MaterialError) return error;
      throw error;
    }
  }

  /** Of the resource and of everything that the files are made of and stand in; null: a part is not in the caches. */
  #versions(key: ObjectKey, { metadata, spec }: KMSConnection): string | null {
    const { secrets, configMaps, shards } = this.#deps;
    const at = (name: string): ObjectKey => ({ namespace: key.namespace, name });
    const objects = [
      ...secretsOf(spec).map((name) => secrets.get(at(name))),
      ...configMapsOf(spec).map((name) => configMaps.get(at(name))),
      secrets.get(shards.secretOf(key)),
    ];
    const versions = objects.map((object) => object?.metadata.resourceVersion);
    if (versions.includes(undefined)) return null;
    return JSON.stringify([metadata.uid, metadata.generation, versions]);
  }
}

/** null also for what somebody spoiled: nothing of it can be used, and the next write repairs it. */
function inForceIn(key: ObjectKey, files: ConnectionFiles): InForce | null {
  const read = settingsIn(key, files);
  if (read === null) return null;
  const certificate = certificateOf(read.settings.tls.cert);
  return certificate === null ? null : { ...read, notAfterMs: certificate.validToDate.getTime() };
}

function certificateOf(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}
