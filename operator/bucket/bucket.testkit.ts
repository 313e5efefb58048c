/** EncryptedBuckets in a world of one connection, one data plane and an API server in memory. */
import { createHash } from 'node:crypto';
import { parseEncryptedBucket } from '../../crds/encryptedbucket.ts';
import { FakeDataPlane } from '../admin/fakeDataPlane.testkit.ts';
import { TestClock } from '../clock.testkit.ts';
import { ApiServer } from '../kube/apiServer.testkit.ts';
import { ENCRYPTED_BUCKET, KMS_CONNECTION, SECRET } from '../kube/kinds.ts';
import type { ResourceType } from '../kube/resource.ts';
import type { EventRecorder } from '../runtime/reconciler.ts';
import { type EndpointFacts, SECRET_INDEXES } from './access/accessSecret.ts';
import { EncryptedBucketReconciler } from './encryptedBucketReconciler.ts';
import { BUCKET_INDEXES } from './references.ts';

export const NAMESPACE: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};

export const KEY = { namespace: 'team-a', name: 'invoices' };
export const OWNER = 'team-a/invoices';
export const SECRET_KEY = { namespace: 'team-a', name: 'invoices-s3' };

const ENDPOINT: EndpointFacts = {
  internalUrl: 'https://10.96.3.7',
  host: '10.96.3.7',
  port: 443,
  region: 'us-east-1',
  caPem: 'PEM of the authority',
  externalUrl: null,
};

const KMIP = { endpoints: [{ host: 'kms' }], tls: { secretRef: { name: 'client' } } };

export type Spec = Readonly<Record<string, unknown>>;

/** What an application needs: one entry that may read and write. */
export const ACCESS = [{ name: 'app', permissions: 'ReadWrite', secretName: 'invoices-s3' }];

export function setUpBuckets() {
  const api = new ApiServer();
  const dataPlane = new FakeDataPlane();
  const clock = new TestClock();
  const told: string[] = [];
  const notes: string[] = [];
  const events: EventRecorder = {
    record: (_object, { type, reason, note }) => {
      told.push(`${type} ${reason}`);
      notes.push(note);
    },
  };
  const buckets = api.cache(ENCRYPTED_BUCKET, { indexes: BUCKET_INDEXES });
  const connections = api.cache(KMS_CONNECTION);
  const namespaces = api.cache(NAMESPACE, { metadataOnly: true });
  const secrets = api.cache(SECRET, { indexes: SECRET_INDEXES, metadataOnly: true });
  let draws = 0;
  const world = {
    api,
    dataPlane,
    clock,
    told,
    notes,
    buckets,
    endpoint: ENDPOINT as EndpointFacts | null,
    podRuns: true,
    /** Reconciles as after a restart: it remembers nothing. */
    fresh: () => new EncryptedBucketReconciler(world.deps()),
    deps: () => ({
      kube: api,
      buckets,
      connections,
      namespaces,
      secrets,
      clock,
      events,
      fleet: { anyPod: () => (world.podRuns ? dataPlane : null) },
      fleetName: 'sealgate',
      endpoint: () => world.endpoint,
      random: () => 0.5,
      // Different at each draw, and the same in each run.
      randomBytes: (size: number) => {
        draws += 1;
        return createHash('shake256', { outputLength: size }).update(String(draws)).digest();
      },
    }),
    declare: (spec: Spec = {}, key = KEY) =>
      api.edit(ENCRYPTED_BUCKET, key, { spec: { kmsConnectionRef: { name: 'keysecure' }, ...spec } }),
    annotate: (annotations: Readonly<Record<string, string | null>>, key = KEY) =>
      api.edit(ENCRYPTED_BUCKET, key, { metadata: { annotations } }),
    status: (key = KEY) => {
      const object = api.peek(ENCRYPTED_BUCKET, key);
      if (object === null) throw new Error('the resource is gone');
      return parseEncryptedBucket(object).status;
    },
    /** `status reason` of a condition. */
    condition: (type: string, key = KEY): string => {
      const found = world.status(key).conditions.find((condition) => condition.type === type);
      return `${found?.status} ${found?.reason}`;
    },
    message: (type: string, key = KEY): string | undefined =>
      world.status(key).conditions.find((condition) => condition.type === type)?.message,
    /** The decoded content of a Secret; null: there is none. */
    secret: (key = SECRET_KEY): Record<string, string> | null => {
      const object = api.peek(SECRET, key);
      if (object === null) return null;
      return Object.fromEntries(
        Object.entries((object['data'] ?? {}) as Record<string, string>).map(([name, text]) => [
          name,
          Buffer.from(text, 'base64').toString('utf8'),
        ]),
      );
    },
    /** Ids of the keys that the data plane has for the owner. */
    keyIds: (owner = OWNER): string[] =>
      [...dataPlane.accessKeyStore.values()]
        .filter((key) => key.owner === owner)
        .map(({ accessKeyId }) => accessKeyId),
  };
  api.edit(
    KMS_CONNECTION,
    { namespace: 'team-a', name: 'keysecure' },
    { spec: { provider: 'KMIP', kmip: KMIP } },
  );
  api.edit(NAMESPACE, { namespace: '', name: 'team-a' }, { metadata: { labels: { team: 'a' } } });
  api.edit(NAMESPACE, { namespace: '', name: 'team-b' }, { metadata: { labels: { team: 'b' } } });
  dataPlane.connections.set('team-a/keysecure', 'r1');
  return world;
}

export type BucketWorld = ReturnType<typeof setUpBuckets>;

/** Never aborts. */
export const NEVER = new AbortController().signal;
