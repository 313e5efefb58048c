/**
 * The sixteen Secrets that hold the files of all connections. Owns how one connection's files are read and replaced
 * without touching another's.
 */
import { z } from 'zod';
import { SECRET } from '../kube/kinds.ts';
import { isRefusedWrite, type KubeApi, KubeError } from '../kube/kubeApi.ts';
import { keyText } from '../kube/paths.ts';
import type { ObjectKey } from '../kube/resource.ts';
import { type ConnectionFiles, fileNames, shardOf } from './connectionFile.ts';
import type { ShardReason } from './reasons.ts';

/** What the API server lets a Secret hold, keys not counted (core/v1, MaxSecretSize). */
const SECRET_LIMIT_BYTES = 1024 * 1024;
/**
 * What one namespace may hold of a Secret, so that its connections do not shut those of others out; and some more for
 * those that are in force already, so that a renewed certificate or authority still fits.
 */
const NAMESPACE_LIMIT_BYTES = 256 * 1024;
const RENEWAL_LIMIT_BYTES = NAMESPACE_LIMIT_BYTES + 64 * 1024;

const secretContent = z.object({
  data: z.record(z.string(), z.string()).default({}),
  immutable: z.boolean().default(false),
});

/** A Secret of connections as it was read, as far as one connection is concerned. */
export interface Shard {
  /** The connection's own; empty when there are none. */
  readonly files: ConnectionFiles;
  /** Of all connections together, and of those of the connection's namespace. */
  readonly sizeBytes: number;
  readonly namespaceBytes: number;
  readonly immutable: boolean;
}

/** Why the files of a connection cannot be written. The message names the Secret and no content. */
export class ShardError extends Error {
  readonly reason: ShardReason;
  constructor(reason: ShardReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ShardError';
    this.reason = reason;
  }
}

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

  /** The files that are rendered, and where. */
  async read(key: ObjectKey, signal: AbortSignal): Promise<Shard> {
    const secret = await this.#kube.get(SECRET, this.secretOf(key), signal);
    const { data, immutable } = secretContent.parse(secret ?? {});
    const own = Object.values(fileNames(key)).flatMap((name): [string, string][] => {
      const text = data[name];
      return text === undefined ? [] : [[name, Buffer.from(text, 'base64').toString('utf8')]];
    });
    const ofNamespace = Object.entries(data).filter(([name]) => name.startsWith(`${key.namespace}.`));
    return {
      files: Object.fromEntries(own),
      sizeBytes: totalBytes(Object.values(data)),
      namespaceBytes: totalBytes(ofNamespace.map(([, text]) => text)),
      immutable,
    };
  }

  /**
   * Brings the connection's files from those of `shard` to `wanted`; nothing is written when nothing differs, nor what
   * the API server would refuse. Rejects with ShardError, or with KubeError when the API server does not answer.
   */
  async write(key: ObjectKey, shard: Shard, wanted: ConnectionFiles, signal: AbortSignal): Promise<void> {
    const changes: Record<string, string | null> = {};
    let moreBytes = 0;
    for (const name of Object.values(fileNames(key))) {
      const [before, text] = [shard.files[name], wanted[name]];
      if (text === before) continue;
      changes[name] = text === undefined ? null : Buffer.from(text, 'utf8').toString('base64');
      moreBytes += Buffer.byteLength(text ?? '') - Buffer.byteLength(before ?? '');
    }
    if (Object.keys(changes).length === 0) return;
    const secret = this.secretOf(key);
    if (shard.immutable) {
      throw new ShardError('SecretNotWritable', `Secret ${keyText(secret)} is immutable`);
    }
    if (moreBytes > 0) requireRoom(key, secret, shard, moreBytes);
    try {
      await this.#patch(secret, changes, signal);
    } catch (error) {
      if (!isRefusedWrite(error)) throw error;
      throw new ShardError(
        'SecretNotWritable',
        `the API server refuses Secret ${keyText(secret)}: ${error.message}`,
        { cause: error },
      );
    }
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

/** Throws ShardError. */
function requireRoom({ namespace }: ObjectKey, secret: ObjectKey, shard: Shard, moreBytes: number): void {
  const sizeBytes = shard.sizeBytes + moreBytes;
  if (sizeBytes > SECRET_LIMIT_BYTES) {
    throw new ShardError(
      'SecretFull',
      `Secret ${keyText(secret)} has no room: with the files of this connection it would hold ${sizeBytes} bytes, and ${SECRET_LIMIT_BYTES} is the most`,
    );
  }
  const namespaceBytes = shard.namespaceBytes + moreBytes;
  const isNew = Object.keys(shard.files).length === 0;
  const limitBytes = isNew ? NAMESPACE_LIMIT_BYTES : RENEWAL_LIMIT_BYTES;
  if (namespaceBytes > limitBytes) {
    throw new ShardError(
      'SecretFull',
      `Secret ${keyText(secret)} has no room for more of namespace ${namespace}: with the files of this connection it would hold ${namespaceBytes} bytes of it, and ${limitBytes} is the most; make the CA bundles of its connections smaller, delete connections that nothing uses, or use another name or namespace`,
    );
  }
}

const totalBytes = (base64: readonly string[]): number =>
  base64.reduce((sum, text) => sum + Buffer.byteLength(text, 'base64'), 0);

const fleetLabels = (fleetName: string): Record<string, string> => ({
  'app.kubernetes.io/name': 'sealgate',
  'app.kubernetes.io/instance': fleetName,
  'app.kubernetes.io/component': 'dataplane',
  'app.kubernetes.io/managed-by': 'sealgate-operator',
  'app.kubernetes.io/part-of': 'sealgate',
});
