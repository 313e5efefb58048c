/** What the operator is built on, against a real API server: nothing is lost, nothing written twice, one leads. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../operator/clock.ts';
import { EVENTS, EventWriter } from '../../operator/kube/events.ts';
import { LEASES } from '../../operator/kube/leaseRecord.ts';
import type { KubeObject, ResourceType } from '../../operator/kube/resource.ts';
import { setCondition } from '../../operator/runtime/conditions.ts';
import { addFinalizer, removeFinalizer } from '../../operator/runtime/finalizer.ts';
import { StatusWriter } from '../../operator/runtime/status.ts';
import type { ControlPlane } from '../harness/cluster/controlPlane.ts';
import { startControlPlane } from '../harness/cluster/startControlPlane.ts';
import { CONFIG_MAPS, configMap, log, Runtime, until, written } from './operatorRuntime/cluster.ts';
import { OperatorProcess } from './operatorRuntime/operatorProcess.ts';

const THINGS: ResourceType = {
  group: 'test.sealgate.io',
  version: 'v1',
  plural: 'things',
  kind: 'Thing',
  namespaced: true,
};

const THING_DEFINITION = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'things.test.sealgate.io' },
  spec: {
    group: 'test.sealgate.io',
    scope: 'Namespaced',
    names: { plural: 'things', singular: 'thing', kind: 'Thing', listKind: 'ThingList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              status: {
                type: 'object',
                properties: {
                  conditions: {
                    type: 'array',
                    'x-kubernetes-list-type': 'map',
                    'x-kubernetes-list-map-keys': ['type'],
                    items: {
                      type: 'object',
                      required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'],
                      properties: {
                        type: { type: 'string' },
                        status: { type: 'string' },
                        reason: { type: 'string' },
                        message: { type: 'string' },
                        observedGeneration: { type: 'integer' },
                        lastTransitionTime: { type: 'string', format: 'date-time' },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
};

let controlPlane: ControlPlane;
let runtime: Runtime;

beforeAll(async () => {
  controlPlane = await startControlPlane();
  for (const namespace of ['a', 'b', 'c']) await controlPlane.kubectl(['create', 'namespace', namespace]);
  await controlPlane.apply(THING_DEFINITION);
  await controlPlane.kubectl([
    'wait',
    '--for=condition=Established',
    'crd/things.test.sealgate.io',
    '--timeout=60s',
  ]);
  runtime = new Runtime(controlPlane.kubeconfig);
});

afterAll(async () => {
  await runtime.close();
  await controlPlane.close();
});

async function change(step: number): Promise<void> {
  const { client } = runtime;
  const key = { namespace: step % 3 === 0 ? 'a' : 'b', name: `n${step % 29}` };
  if (step % 7 === 3) await written(() => client.delete(CONFIG_MAPS, key));
  else
    await written(() =>
      client.apply(CONFIG_MAPS, configMap(key.namespace, key.name, { step: String(step) })),
    );
}

const versions = (objects: readonly KubeObject[]): string[] =>
  objects.map(({ metadata }) => `${metadata.namespace}/${metadata.name}@${metadata.resourceVersion}`).sort();

describe('a cache', () => {
  test('equals the list after changes with two crashes of the API server in their midst', async () => {
    const everywhere = await runtime.cache({});
    const two = await runtime.cache({ namespaces: ['a', 'b'] });
    const metadata = await runtime.cache({ metadataOnly: true });
    const told: string[] = [];
    two.subscribe(({ type, object }) => told.push(`${type} ${object.metadata.name}`));
    for (const crash of [1, 2]) {
      const underWay = Promise.withResolvers<void>();
      const changes = (async () => {
        for (let step = 0; step < 400; step += 1) {
          await change(step);
          if (step === 100 * crash) underWay.resolve();
        }
      })();
      await Promise.race([underWay.promise, changes]);
      await controlPlane.stopApiServer('SIGKILL');
      await controlPlane.restartApiServer();
      await changes;
    }
    const applied = configMap('a', 'last', { k: 'tell-nobody' });
    // As `kubectl apply` makes it: with a copy of the whole object in its metadata.
    const annotations = {
      'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify(applied),
      kept: 'yes',
    };
    await written(() =>
      runtime.client.create(CONFIG_MAPS, { ...applied, metadata: { ...applied.metadata, annotations } }),
    );
    const last = { namespace: 'a', name: 'last' };
    for (const cache of [everywhere, two, metadata]) await until(cache, () => cache.get(last) !== undefined);
    const listed = await runtime.client.list(CONFIG_MAPS, {});
    const inTwo = listed.filter(({ metadata: { namespace = '' } }) => ['a', 'b'].includes(namespace));
    await until(two, () => versions(two.list()).join() === versions(inTwo).join());
    await until(everywhere, () => versions(everywhere.list()).join() === versions(listed).join());
    await until(metadata, () => versions(metadata.list()).join() === versions(listed).join());
    expect(inTwo.length).toBeGreaterThan(20);
    expect(told.filter((line) => line.startsWith('updated')).length).toBeGreaterThan(100);
    const held = everywhere.get({ namespace: 'a', name: 'n0' });
    expect(held?.['data']).toBeDefined();
    expect(metadata.get({ namespace: 'a', name: 'n0' })).toMatchObject({
      kind: 'ConfigMap',
      metadata: { name: 'n0' },
    });
    expect(metadata.get({ namespace: 'a', name: 'n0' })).not.toHaveProperty('data');
    expect(everywhere.get(last)?.['data']).toEqual({ k: 'tell-nobody' });
    expect(metadata.get(last)?.metadata.annotations).toEqual({ kept: 'yes' });
    expect(JSON.stringify(metadata.list())).not.toContain('tell-nobody');
  });

  test('is told that a version is too old, and lists in pages', async () => {
    const watch = runtime.client.watch(
      CONFIG_MAPS,
      {},
      { resourceVersion: '1', timeoutSeconds: 5 },
      AbortSignal.timeout(10_000),
    );
    await expect(watch.next()).rejects.toMatchObject({ code: 'Expired' });
    const names = Array.from({ length: 1_100 }, (_, n) => `many-${n}`);
    const makers = Array.from({ length: 8 }, async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        await runtime.client.create(CONFIG_MAPS, configMap('c', name, {}));
      }
    });
    await Promise.all(makers);
    const { length } = await runtime.client.list(CONFIG_MAPS, { namespace: 'c' });
    expect(length).toBe(1_100);
    const pages = (await controlPlane.auditEvents()).filter(
      ({ verb, requestURI, stage }) =>
        verb === 'list' &&
        stage === 'ResponseComplete' &&
        requestURI.startsWith('/api/v1/namespaces/c/configmaps?'),
    );
    expect(pages).toHaveLength(3);
  });
});

describe('a write', () => {
  test('that changes nothing leaves the version as it is', async () => {
    const object = configMap('a', 'applied', { k: '1' });
    const first = await runtime.client.apply(CONFIG_MAPS, object);
    const second = await runtime.client.apply(CONFIG_MAPS, object);
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    const third = await runtime.client.apply(CONFIG_MAPS, configMap('a', 'applied', { k: '2' }));
    expect(third.metadata.resourceVersion).not.toBe(first.metadata.resourceVersion);
  });

  test('of a status that is there is not even sent, and a forced one changes nothing', async () => {
    const { client } = runtime;
    const made = await client.create(THINGS, {
      apiVersion: 'test.sealgate.io/v1',
      kind: 'Thing',
      metadata: { namespace: 'a', name: 'thing' },
      spec: { x: 1 },
    });
    const writer = new StatusWriter(client);
    const ready = {
      type: 'Ready',
      status: 'True',
      reason: 'Done',
      message: 'm',
      observedGeneration: 1,
    } as const;
    const status = { conditions: setCondition([], ready, systemClock.wallMs()) };
    expect(await writer.write(THINGS, made, status)).toBe(true);
    expect(await writer.write(THINGS, made, status)).toBe(false);
    const held = await client.get(THINGS, { namespace: 'a', name: 'thing' });
    expect(held?.['status']).toEqual(status);
    expect(held?.['spec']).toEqual({ x: 1 });
    await expect(new StatusWriter(client).write(THINGS, made, status)).rejects.toMatchObject({
      code: 'Conflict',
    });
    const { apiVersion, kind } = made;
    const forced = { apiVersion, kind, metadata: { namespace: 'a', name: 'thing' }, status };
    await client.apply(THINGS, forced, { subresource: 'status' });
    const after = await client.get(THINGS, { namespace: 'a', name: 'thing' });
    expect(after?.metadata.resourceVersion).toBe(held?.metadata.resourceVersion);
    await client.delete(THINGS, { namespace: 'a', name: 'thing' });
    expect(await writer.write(THINGS, made, { conditions: [] })).toBe(false);
    expect(await client.get(THINGS, { namespace: 'a', name: 'thing' })).toBeNull();
  });

  test('of a status never reaches a new object of the same name', async () => {
    const { client } = runtime;
    const thing = {
      apiVersion: 'test.sealgate.io/v1',
      kind: 'Thing',
      metadata: { namespace: 'a', name: 'again' },
    };
    const old = await client.create(THINGS, thing);
    await client.delete(THINGS, { namespace: 'a', name: 'again' });
    await client.create(THINGS, thing);
    const writing = new StatusWriter(client).write(THINGS, old, { conditions: [] });
    await expect(writing).rejects.toMatchObject({ code: 'Conflict' });
  });

  test('of the finalizer holds an object, and lets it go', async () => {
    const { client } = runtime;
    const key = { namespace: 'a', name: 'held' };
    const signal = AbortSignal.timeout(30_000);
    const made = await client.create(CONFIG_MAPS, configMap('a', 'held', {}));
    const held = await addFinalizer(client, CONFIG_MAPS, made, 'sealgate.io/finalizer', signal);
    await expect(
      addFinalizer(client, CONFIG_MAPS, made, 'sealgate.io/finalizer', signal),
    ).rejects.toMatchObject({
      code: 'Conflict',
    });
    expect(await client.delete(CONFIG_MAPS, key, { uid: held.metadata.uid ?? '' })).toBe(true);
    const deleted = await client.get(CONFIG_MAPS, key);
    expect(deleted?.metadata.deletionTimestamp).toBeDefined();
    if (deleted !== null)
      await removeFinalizer(client, CONFIG_MAPS, deleted, 'sealgate.io/finalizer', signal);
    expect(await client.get(CONFIG_MAPS, key)).toBeNull();
  });

  test('of events is taken by the API server, repetitions as a series', async () => {
    const { client, registry } = runtime;
    const events = new EventWriter({ api: client, clock: systemClock, log, registry, identity: 'e2e' });
    const regarding = await client.create(CONFIG_MAPS, configMap('a', 'eventful', {}));
    const event = { type: 'Warning', reason: 'Tried', action: 'Try', note: 'Tried and failed.' } as const;
    const long = { ...event, reason: 'Long', note: 'é'.repeat(2_000) };
    events.record(
      { ...regarding, metadata: { ...regarding.metadata, name: `${'n'.repeat(199)}.long` } },
      long,
    );
    events.record(regarding, event);
    const find = async () =>
      (await client.list(EVENTS, { namespace: 'a' })).find(({ reason }) => reason === 'Tried');
    await expect.poll(find, { timeout: 10_000 }).toMatchObject({ note: 'Tried and failed.' });
    events.record(regarding, event);
    await expect.poll(find, { timeout: 10_000 }).toMatchObject({ series: { count: 2 } });
    await events.close();
    expect(await registry.getSingleMetricAsString('sealgate_operator_events_total')).toContain(
      '{result="dropped"} 0',
    );
  });
});

describe('two operators with a lease of 2 s', () => {
  const started: OperatorProcess[] = [];
  const operator = (identity: string): OperatorProcess => {
    const made = new OperatorProcess(controlPlane.kubeconfig, [...args, `--identity=${identity}`]);
    started.push(made);
    return made;
  };
  afterEach(() => {
    for (const one of started.splice(0)) one.kill('SIGKILL');
  });

  /** Resolves when the lease has been renewed so often, which takes longer than it lasts. */
  async function renewed(times: number): Promise<void> {
    const selection = { namespace: 'a' };
    const listed = await runtime.client.listPage(LEASES, selection, '', AbortSignal.timeout(30_000));
    const from = { resourceVersion: listed.resourceVersion, timeoutSeconds: 60 };
    let seen = 0;
    for await (const line of runtime.client.watch(LEASES, selection, from, AbortSignal.timeout(60_000))) {
      if (line.type === 'changed') seen += 1;
      if (seen === times) return;
    }
    throw new Error(`the lease was renewed ${seen} times`);
  }

  const args = ['--namespace=a', '--lease-duration=2s', '--renew-deadline=1500ms', '--retry-period=400ms'];

  test('one leads; after its death the other does when the lease has run out, after its end in order at once', async () => {
    const first = operator('first');
    await first.said('this process leads');
    const second = operator('second');
    await second.said('another process leads');
    await renewed(8);
    expect(second.leads).toBe(false);
    const killedMs = performance.now();
    first.kill('SIGKILL');
    await second.said('this process leads');
    const afterDeathMs = performance.now() - killedMs;

    const third = operator('third');
    await third.said('another process leads');
    await renewed(8);
    expect(third.leads).toBe(false);
    const stoppedMs = performance.now();
    second.kill('SIGTERM');
    await third.said('this process leads');
    const afterEndMs = performance.now() - stoppedMs;
    expect(await second.exited).toBe(0);
    const lease = await runtime.client.get(LEASES, { namespace: 'a', name: 'sealgate-operator' });
    expect(lease?.['spec']).toMatchObject({ holderIdentity: 'third' });
    process.stdout.write(
      `taken over ${Math.round(afterDeathMs)} ms after a kill, ${Math.round(afterEndMs)} ms after an end in order\n`,
    );
    expect(afterDeathMs).toBeGreaterThan(1_000);
    expect(afterDeathMs).toBeLessThan(5_000);
    expect(afterEndMs).toBeLessThan(2_000);

    // Without an API server the leader stops by itself, with an exit code that has it started anew.
    await controlPlane.stopApiServer();
    const cutMs = performance.now();
    expect(await third.exited).toBe(1);
    const endedMs = performance.now() - cutMs;
    process.stdout.write(`ended ${Math.round(endedMs)} ms after the API server was gone\n`);
    expect(endedMs).toBeLessThan(4_000);
    await controlPlane.restartApiServer();
  });
});
