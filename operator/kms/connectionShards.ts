/**
 * The sixteen Secrets that hold the files of all connections. Owns how one connection's files are read and replaced
 * without touching another's.
 */
import { z } from 'zod';
import { SECRET } from '../kube/kinds.ts';
import { type KubeApi, KubeError } from '../kube/kubeApi.ts';
import type { ObjectKey } from '../kube/resource.ts';
import { type ConnectionFiles, fileNames, shardOf } from './connectionFile.ts';

const secretData = z.object({ data: z.record(z.string(), z.string()).optional() });

export class ConnectionShards {
  #kube: KubeApi;
  #place: { readonly namespace: string; readonly fleetName: string };

  /** `namespace`: the operator's; `fleetName`: NAME of the installation. */
  constructor(kube: KubeApi, place: { readonly namespace: string; readonly fleetName: string }) {
    this.#kube = kube;
    this.#place = place;
  }

  /** The Secret that holds the connection's files. */
  secretOf(key: ObjectKey): ObjectKey {
    return {
      namespace: this.#place.namespace,
      name: `${this.#place.fleetName}-connections-${shardOf(key)}`,
    };
  }

  /** The files that are rendered; empty when there are none. */
  async read(key: ObjectKey, signal: AbortSignal): Promise<ConnectionFiles> {
    const secret = await this.#kube.get(SECRET, this.secretOf(key), signal);
    if (secret === null) return {};
    const { data = {} } = secretData.parse(secret);
    const own = Object.values(fileNames(key)).flatMap((name): [string, string][] => {
      const text = data[name];
      return text === undefined ? [] : [[name, Buffer.from(text, 'base64').toString('utf8')]];
    });
    return Object.fromEntries(own);
  }

  /** Brings the connection's files from `present` to `wanted`; false: nothing differed, and nothing was written. */
  async write(
    key: ObjectKey,
    present: ConnectionFiles,
    wanted: ConnectionFiles,
    signal: AbortSignal,
  ): Promise<boolean> {
    const changes: Record<string, string | null> = {};
    for (const name of Object.values(fileNames(key))) {
      const text = wanted[name];
      if (text === present[name]) continue;
      changes[name] = text === undefined ? null : Buffer.from(text, 'utf8').toString('base64');
    }
    if (Object.keys(changes).length === 0) return false;
    await this.#patch(this.secretOf(key), changes, signal);
    return true;
  }

  /** Creates the Secret when it is missing. Two that do so at once end with both their keys in it. */
  async #patch(
    secret: ObjectKey,
    data: Readonly<Record<string, string | null>>,
    signal: AbortSignal,
  ): Promise<void> {
    const patch = async (): Promise<void> => {
      await this.#kube.mergePatch(SECRET, secret, { data }, { signal });
    };
    try {
      await patch();
      return;
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== 'NotFound') throw error;
    }
    const present = Object.entries(data).filter(([, value]) => value !== null);
    if (present.length === 0) return;
    try {
      await this.#kube.create(
        SECRET,
        {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { ...secret, labels: fleetLabels(this.#place.fleetName) },
          type: 'Opaque',
          data: Object.fromEntries(present),
        },
        { signal },
      );
    } catch (error) {
      if (!(error instanceof KubeError) || error.code !== 'AlreadyExists') throw error;
      await patch();
    }
  }
}

const fleetLabels = (fleetName: string): Record<string, string> => ({
  'app.kubernetes.io/name': 'sealgate',
  'app.kubernetes.io/instance': fleetName,
  'app.kubernetes.io/component': 'dataplane',
  'app.kubernetes.io/managed-by': 'sealgate-operator',
  'app.kubernetes.io/part-of': 'sealgate',
});
