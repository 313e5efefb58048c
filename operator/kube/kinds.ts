/** The kinds that the reconcilers of the custom resources read and write. */
import type { ResourceType } from './resource.ts';

const core = (kind: string, plural: string, namespaced = true): ResourceType => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
});

export const SECRET = core('Secret', 'secrets');
export const CONFIG_MAP = core('ConfigMap', 'configmaps');
export const POD = core('Pod', 'pods');
export const NAMESPACE = core('Namespace', 'namespaces', false);

const sealgate = (kind: string, plural: string): ResourceType => ({
  group: 'sealgate.io',
  version: 'v1alpha1',
  plural,
  kind,
  namespaced: true,
});

export const KMS_CONNECTION = sealgate('KMSConnection', 'kmsconnections');
export const ENCRYPTED_BUCKET = sealgate('EncryptedBucket', 'encryptedbuckets');

/** Keeps a resource until what hangs on it outside the cluster is settled. */
export const FINALIZER = 'sealgate.io/finalizer';
/** Annotation on a resource: with the value "true" its deletion waits for nothing. Data are kept. */
export const FORCE_DELETE = 'sealgate.io/force-delete';
