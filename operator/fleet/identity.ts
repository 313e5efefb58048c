/**
 * The Secrets that are made once: who the installation is, and its root credentials.
 *
 * The installation key authenticates every row of the metadata. A new one over existing data would make all of it
 * unreadable, so none is ever made where there may be data.
 */
import { type KubeApi, KubeError } from '../kube/kubeApi.ts';
import type { KubeObject } from '../kube/resource.ts';
import type { Installation } from './dataPlaneConfig.ts';
import { type FleetContext, head, secretData } from './fleetContext.ts';
import { FleetRefusal } from './fleetState.ts';
import { PERSISTENT_VOLUME_CLAIM, SECRET, STATEFUL_SET } from './kinds.ts';
import { fleetNames } from './names.ts';
import { secretFiles } from './secretContent.ts';

export type RandomBytes = (bytes: number) => Buffer;

async function hasData(
  api: KubeApi,
  { name, namespace }: FleetContext,
  signal: AbortSignal,
): Promise<string | null> {
  const { claim, statefulSet } = fleetNames(name);
  if ((await api.get(PERSISTENT_VOLUME_CLAIM, { namespace, name: claim }, signal)) !== null) {
    return `PersistentVolumeClaim ${claim}`;
  }
  const found = await api.get(STATEFUL_SET, { namespace, name: statefulSet }, signal);
  return found === null ? null : `StatefulSet ${statefulSet}`;
}

/** Another operator may be first: then its Secret counts. */
async function createOnce(api: KubeApi, secret: KubeObject, signal: AbortSignal): Promise<KubeObject | null> {
  signal.throwIfAborted();
  try {
    return await api.create(SECRET, secret, { signal });
  } catch (error) {
    if (!(error instanceof KubeError && error.code === 'AlreadyExists')) throw error;
    return api.get(
      SECRET,
      { namespace: secret.metadata.namespace ?? '', name: secret.metadata.name },
      signal,
    );
  }
}

/**
 * The installation's identity, made if there is neither identity nor data.
 *
 * @throws FleetRefusal InstallationKeyMissing
 */
export async function ensureInstallation(
  api: KubeApi,
  context: FleetContext,
  random: RandomBytes,
  signal: AbortSignal,
): Promise<Installation> {
  const name = fleetNames(context.name).installationSecret;
  let secret = await api.get(SECRET, { namespace: context.namespace, name }, signal);
  if (secret === null) {
    const found = await hasData(api, context, signal);
    if (found !== null) {
      throw new FleetRefusal(
        'InstallationKeyMissing',
        `Secret ${name} is missing, but ${found} exists. A new key would make its data unreadable: restore the Secret from a backup.`,
      );
    }
    secret = await createOnce(
      api,
      {
        ...head(context, 'v1', 'Secret', name),
        type: 'Opaque',
        immutable: true,
        data: secretData({
          'installation.id': random(16).toString('hex'),
          'installation.key': random(32).toString('hex'),
        }),
      },
      signal,
    );
  }
  const files = secretFiles(secret);
  const id = (files['installation.id'] ?? '').trim();
  const key = (files['installation.key'] ?? '').trim();
  if (!/^[0-9a-f]{32}$/.test(id) || !/^[0-9a-f]{64}$/.test(key)) {
    throw new FleetRefusal(
      'InstallationKeyMissing',
      `Secret ${name} must have installation.id (32 hex characters) and installation.key (64): restore it from a backup.`,
    );
  }
  return { id, key };
}

/** Content of root.json, made if there is none. New root credentials own what the old ones owned. */
export async function ensureRootFile(
  api: KubeApi,
  context: FleetContext,
  random: RandomBytes,
  signal: AbortSignal,
): Promise<string> {
  const name = fleetNames(context.name).rootSecret;
  let secret = await api.get(SECRET, { namespace: context.namespace, name }, signal);
  if (secret === null) {
    const root = {
      accessKeyId: `SGROOT${random(8).toString('hex').toUpperCase()}`,
      secretAccessKey: random(20).toString('hex'),
    };
    secret = await createOnce(
      api,
      {
        ...head(context, 'v1', 'Secret', name),
        type: 'Opaque',
        data: secretData({ 'root.json': `${JSON.stringify(root)}\n` }),
      },
      signal,
    );
  }
  const file = secretFiles(secret)['root.json'];
  if (file === undefined) {
    throw new FleetRefusal(
      'FleetInvalid',
      `Secret ${name} must have root.json; delete the Secret to have it made anew.`,
    );
  }
  return file;
}
