/** A KMSConnection in a world of one pod, a KMS that says what a test wants, and an API server in memory. */
import { parseKMSConnection } from '../../crds/kmsconnection.ts';
import { testCertificate } from '../admin/certificate.testkit.ts';
import { FakeDataPlane } from '../admin/fakeDataPlane.testkit.ts';
import type { FleetPod } from '../admin/fleetPods.ts';
import { TestClock } from '../clock.testkit.ts';
import { ApiServer } from '../kube/apiServer.testkit.ts';
import { CONFIG_MAP, KMS_CONNECTION, POD, SECRET } from '../kube/kinds.ts';
import type { EventRecorder } from '../runtime/reconciler.ts';
import { connectionName, settingsIn } from './connectionFile.ts';
import { ConnectionShards } from './connectionShards.ts';
import { KmsConnectionReconciler } from './kmsConnectionReconciler.ts';
import type { EndpointProbe, EndpointVerdict } from './probe.ts';
import { Prober } from './prober.ts';
import { CONNECTION_INDEXES } from './references.ts';

export const KEY = { namespace: 'team-a', name: 'keysecure' };
export const NAME = 'team-a/keysecure';
const NAMESPACE = 'sealgate-system';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Valid at the test clock's time; the second one as after a renewal. */
const clients = [testCertificate('sealgate'), testCertificate('sealgate')] as const;
/** Ended long before the test clock's time. */
const expired = testCertificate('sealgate', { days: 30 });

export function setUpConnections() {
  const api = new ApiServer();
  const dataPlane = new FakeDataPlane();
  const clock = new TestClock();
  const told: string[] = [];
  const events: EventRecorder = { record: (_object, { type, reason }) => told.push(`${type} ${reason}`) };
  const connections = api.cache(KMS_CONNECTION, { indexes: CONNECTION_INDEXES });
  const secrets = api.cache(SECRET, { metadataOnly: true });
  const configMaps = api.cache(CONFIG_MAP, { metadataOnly: true });
  const pods = api.cache(POD);
  const pod = { namespace: NAMESPACE, name: 'sealgate-0' };
  const shards = new ConnectionShards(api, { namespace: NAMESPACE, fleetName: 'sealgate' });
  const probers: Prober[] = [];
  const world = {
    api,
    dataPlane,
    clock,
    told,
    shards,
    connections,
    /** What a probe finds at each endpoint. */
    verdicts: ['Up'] as EndpointVerdict[],
    probes: 0,
    /** Awaited in each probe. */
    probing: Promise.resolve(),
    podsThere: true,
    /** Whether a patch of the pod makes kubelet bring the files at once. */
    kubeletFollows: true,
    enqueued: [] as string[],
    fresh: () => {
      const prober = new Prober({
        clock,
        random: () => 0.5,
        enqueue: (key) => world.enqueued.push(connectionName(key)),
        onError: (error) => {
          throw error;
        },
        keepOnly: () => undefined,
        probe: async () => {
          world.probes += 1;
          await world.probing;
          return world.verdicts.map(probeOf);
        },
      });
      probers.push(prober);
      return new KmsConnectionReconciler({ ...world.deps(), prober });
    },
    /** All that a reconciler needs but its prober. */
    deps: () => ({
      kube: api,
      connections,
      secrets,
      configMaps,
      pods,
      fleet: {
        everyPod: () => (world.podsThere ? [world.pod()] : []),
        anyPod: () => (world.podsThere ? dataPlane : null),
      },
      events,
      clock,
      random: () => 0.5,
      namespace: NAMESPACE,
      fleetName: 'sealgate',
    }),
    /** Lets probes end. */
    settle: async () => {
      for (const prober of probers) await prober.idle();
    },
    pod: (): FleetPod => ({
      key: pod,
      annotations: api.peek(POD, pod)?.metadata.annotations ?? {},
      admin: dataPlane,
    }),
    /** What kubelet and the reload of the data plane do: all rendered connections come into force. */
    bringFiles: () => {
      dataPlane.connections.clear();
      for (const { metadata } of [...api.all(KMS_CONNECTION), { metadata: KEY }]) {
        const key = { namespace: metadata.namespace ?? '', name: metadata.name };
        const read = settingsIn(key, world.rendered(key));
        if (read !== null) dataPlane.connections.set(connectionName(key), read.revision);
      }
    },
    /** The files of a connection as they stand in its shard. */
    rendered: (key = KEY): Record<string, string> => {
      const data = (api.peek(SECRET, shards.secretOf(key))?.['data'] ?? {}) as Record<string, string>;
      return Object.fromEntries(
        Object.entries(data)
          .filter(([name]) => name.startsWith(`${key.namespace}.${key.name}.`))
          .map(([name, text]) => [name, Buffer.from(text, 'base64').toString('utf8')]),
      );
    },
    declare: (spec: object = {}, key = KEY) =>
      api.edit(KMS_CONNECTION, key, {
        spec: {
          provider: 'KMIP',
          kmip: { endpoints: [{ host: 'ks1' }], tls: { secretRef: { name: 'client' } } },
          ...spec,
        },
      }),
    /** The Secret that connections refer to; `which`: 0 or 1, or the expired one. */
    giveSecret: (which: 0 | 1 | 'expired', namespace = 'team-a') => {
      const { cert, key } = which === 'expired' ? expired : clients[which];
      const data = { 'tls.crt': base64(cert), 'tls.key': base64(key), 'ca.crt': base64(cert) };
      api.edit(SECRET, { namespace, name: 'client' }, { data });
    },
    status: () => {
      const object = api.peek(KMS_CONNECTION, KEY);
      if (object === null) throw new Error('the resource is gone');
      return parseKMSConnection(object).status;
    },
    /** `status reason` of a condition. */
    condition: (type: string): string => {
      const found = world.status().conditions.find((condition) => condition.type === type);
      return `${found?.status} ${found?.reason}`;
    },
  };
  api.edit(POD, pod, {});
  pods.subscribe(({ type }) => {
    if (type === 'updated' && world.kubeletFollows) world.bringFiles();
  });
  world.giveSecret(0);
  return world;
}

export type ConnectionWorld = ReturnType<typeof setUpConnections>;

function probeOf(verdict: EndpointVerdict, index: number): EndpointProbe {
  const up = verdict === 'Up';
  return {
    host: `ks${index + 1}`,
    port: 5696,
    verdict,
    message: up ? null : `it is ${verdict}`,
    protocolVersion: up ? '1.3' : null,
    vendor: up ? 'Fake KMS' : null,
  };
}

/** Never aborts. */
export const NEVER = new AbortController().signal;
