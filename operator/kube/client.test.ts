import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { KubeClient } from './client.ts';
import type { Fault } from './fakeApiServer.testkit.ts';
import {
  CONFIG_MAPS,
  configMap,
  type FakeCluster,
  hastyClock,
  startFakeCluster,
} from './fakeCluster.testkit.ts';
import { KubeError } from './kubeApi.ts';

const KEY = { namespace: 'a', name: 'x' };
const PATH = '/api/v1/namespaces/a/configmaps/x';

let cluster: FakeCluster;
let waits: number[];

beforeEach(async () => {
  waits = [];
  cluster = await startFakeCluster({ clock: hastyClock(waits), requestTimeoutMs: 2_000 });
});
afterEach(() => cluster.close());

async function rejection(call: Promise<unknown>): Promise<KubeError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof KubeError)) throw new Error('did not reject with KubeError', { cause: error });
  return error;
}

describe('reads and writes', () => {
  test('what is created is got, patched, applied and deleted', async () => {
    const { client, server } = cluster;
    const made = await client.create(CONFIG_MAPS, configMap('a', 'x', { k: '1' }));
    expect(await client.get(CONFIG_MAPS, KEY)).toEqual(made);
    const patched = await client.mergePatch(CONFIG_MAPS, KEY, { data: { l: '2' } });
    expect(patched['data']).toEqual({ k: '1', l: '2' });
    await client.apply(CONFIG_MAPS, configMap('a', 'y', {}));
    expect((await client.list(CONFIG_MAPS, { namespace: 'a' })).map(({ metadata }) => metadata.name)).toEqual(
      ['x', 'y'],
    );
    expect(await client.delete(CONFIG_MAPS, KEY, { uid: made.metadata.uid ?? '' })).toBe(true);
    expect(await client.delete(CONFIG_MAPS, KEY)).toBe(false);
    expect(await client.get(CONFIG_MAPS, KEY)).toBeNull();
    expect(server.seen.map(({ method }) => method)).toEqual([
      'POST',
      'GET',
      'PATCH',
      'PATCH',
      'GET',
      'DELETE',
      'DELETE',
      'GET',
    ]);
  });

  test('apply names the field manager, is forced and reaches the status', async () => {
    const { client, server } = cluster;
    await client.create(CONFIG_MAPS, configMap('a', 'x'));
    await client.apply(CONFIG_MAPS, configMap('a', 'x'), { subresource: 'status' });
    const sent = server.seen.at(-1);
    expect(sent?.path).toBe(`${PATH}/status`);
    expect(Object.fromEntries(sent?.query ?? [])).toEqual({
      fieldManager: 'sealgate-operator',
      force: 'true',
    });
    expect(sent?.headers['content-type']).toBe('application/apply-patch+yaml');
  });

  test('a patch or a deletion of an older version is a Conflict', async () => {
    const { client } = cluster;
    const old = await client.create(CONFIG_MAPS, configMap('a', 'x'));
    const { resourceVersion = '' } = old.metadata;
    await client.mergePatch(CONFIG_MAPS, KEY, { metadata: { resourceVersion }, data: { k: '1' } });
    const again = client.mergePatch(CONFIG_MAPS, KEY, { metadata: { resourceVersion }, data: { k: '2' } });
    expect((await rejection(again)).code).toBe('Conflict');
    expect((await rejection(client.delete(CONFIG_MAPS, KEY, { resourceVersion }))).code).toBe('Conflict');
  });

  test('an object without a namespace is refused before it is asked for', async () => {
    await expect(cluster.client.get(CONFIG_MAPS, { namespace: '', name: 'x' })).rejects.toThrow(RangeError);
  });

  test.each([
    ['is there', { body: JSON.stringify({ resources: [{ name: 'configmaps' }] }), status: 200 }, true],
    [
      'is missing in its group',
      { body: JSON.stringify({ resources: [{ name: 'pods' }] }), status: 200 },
      false,
    ],
    ['has no group', { status: 404 }, false],
  ])('a kind that %s is told by the discovery', async (_what, fault, there) => {
    const { client, server } = cluster;
    server.fail(({ path: asked }) => asked === '/apis/example.com/v2', fault);
    expect(await client.serves({ ...CONFIG_MAPS, group: 'example.com', version: 'v2' })).toBe(there);
    expect(server.seen.map(({ method }) => method)).toEqual(['GET']);
  });

  test('a list longer than a page comes whole, with labels chosen by the server', async () => {
    const { client, server } = cluster;
    for (let n = 0; n < 1_201; n += 1) {
      server.store.create('/api/v1/namespaces/a/configmaps', {
        metadata: { name: `n${n}`, labels: { odd: String(n % 2) } },
      });
    }
    expect(await client.list(CONFIG_MAPS, {})).toHaveLength(1_201);
    expect(server.seen).toHaveLength(3);
    expect(await client.list(CONFIG_MAPS, { labelSelector: 'odd=1' })).toHaveLength(600);
  });

  test('a list whose continue token has expired is begun again', async () => {
    const { client, server } = cluster;
    for (let n = 0; n < 600; n += 1) {
      server.store.create('/api/v1/namespaces/a/configmaps', { metadata: { name: `n${n}` } });
    }
    let pages = 0;
    server.beforePage = async () => {
      pages += 1;
      if (pages === 2) server.store.compact();
      await Promise.resolve();
    };
    expect(await client.list(CONFIG_MAPS, { namespace: 'a' })).toHaveLength(600);
    expect(server.seen.map(({ query }) => query.has('continue'))).toEqual([false, true, false, true]);
  });
});

describe('errors', () => {
  test.each<[number, string, string]>([
    [400, 'BadRequest', 'Invalid'],
    [403, 'Forbidden', 'Forbidden'],
    [404, 'NotFound', 'NotFound'],
    [409, 'AlreadyExists', 'AlreadyExists'],
    [409, 'Conflict', 'Conflict'],
    [410, 'Expired', 'Expired'],
    [422, 'Invalid', 'Invalid'],
    [500, 'InternalError', 'Unavailable'],
    [504, 'Timeout', 'Unavailable'],
    [418, 'Teapot', 'Unexpected'],
  ])(
    '%s %s is %s, with verb, kind, name and reason and no word of the body',
    async (status, reason, code) => {
      cluster.server.fail(() => true, { status, reason });
      const error = await rejection(
        cluster.client.mergePatch(CONFIG_MAPS, KEY, { data: { k: 'tell-nobody' } }),
      );
      expect(error).toMatchObject({ code, status });
      expect(error.message).toBe(`patch ConfigMap a/x: ${reason} (HTTP ${status})`);
      expect(`${error.stack}${String(error.cause)}`).not.toContain('tell-nobody');
      expect(cluster.server.seen).toHaveLength(1);
    },
  );

  test('an invalid object is reported by its fields', async () => {
    const details = { causes: [{ field: 'data[k]', reason: 'FieldValueInvalid', message: 'tell-nobody' }] };
    cluster.server.fail(() => true, { status: 422, reason: 'Invalid', details });
    const error = await rejection(cluster.client.create(CONFIG_MAPS, configMap('a', 'x')));
    expect(error.message).toBe('create ConfigMap a/x: Invalid (HTTP 422) [data[k]: FieldValueInvalid]');
  });

  test.each<[string, Fault]>([
    ['an answer that is not JSON', { status: 200, body: '<p>tell-nobody</p>' }],
    ['an answer that is no object', { status: 200, body: '{"token": "tell-nobody"}' }],
  ])('%s is Unexpected and not repeated', async (_name, fault) => {
    cluster.server.fail(() => true, fault);
    const error = await rejection(cluster.client.get(CONFIG_MAPS, KEY));
    expect(error.code).toBe('Unexpected');
    expect(`${error.message}${String(error.cause)}`).not.toContain('tell-nobody');
  });

  test('a dropped connection is Unavailable', async () => {
    cluster.server.fail(() => true, 'drop');
    expect(await rejection(cluster.client.create(CONFIG_MAPS, configMap('a', 'x')))).toMatchObject({
      code: 'Unavailable',
      status: 0,
    });
  });

  test('a request that is never answered ends with its time limit', async () => {
    await cluster.close();
    cluster = await startFakeCluster({ requestTimeoutMs: 50 });
    cluster.server.fail(() => true, 'hang');
    const error = await rejection(cluster.client.get(CONFIG_MAPS, KEY));
    expect(error.message).toBe('get ConfigMap a/x: no answer in time');
  });

  test.each<[string, (client: KubeClient, signal: AbortSignal) => Promise<unknown>]>([
    ['get', (client, signal) => client.get(CONFIG_MAPS, KEY, signal)],
    ['create', (client, signal) => client.create(CONFIG_MAPS, configMap('a', 'x'), { signal })],
    ['apply', (client, signal) => client.apply(CONFIG_MAPS, configMap('a', 'x'), { signal })],
    ['patch', (client, signal) => client.mergePatch(CONFIG_MAPS, KEY, {}, { signal })],
    ['delete', (client, signal) => client.delete(CONFIG_MAPS, KEY, {}, { signal })],
  ])('a %s ends when its caller gives up', async (verb, ask) => {
    const caller = new AbortController();
    cluster.server.fail(() => true, 'hang');
    const arrived = cluster.server.arrival(() => true);
    const call = rejection(ask(cluster.client, caller.signal));
    await arrived;
    caller.abort();
    expect((await call).message).toBe(`${verb} ConfigMap a/x: cancelled`);
  });
});

describe('tries', () => {
  test('a read waits as long as it is told with 429 and 503, and some more', async () => {
    const { client, server } = cluster;
    server.fail(() => true, { status: 429, headers: { 'retry-after': '2' } });
    server.fail(() => true, { status: 503 });
    expect(await client.get(CONFIG_MAPS, KEY)).toBeNull();
    expect(server.seen).toHaveLength(3);
    expect(waits).toEqual([2_000 + 187.5, 375]);
  });

  test('a write is tried again after 429, which was not performed, and not after 503, which may have been', async () => {
    const { client, server } = cluster;
    server.fail(() => true, { status: 429, headers: { 'retry-after': '1' } });
    await client.create(CONFIG_MAPS, configMap('a', 'x'));
    expect(server.seen).toHaveLength(2);
    server.fail(() => true, { status: 503, performed: true });
    const error = await rejection(client.mergePatch(CONFIG_MAPS, KEY, { data: { k: '1' } }));
    expect(error.code).toBe('Unavailable');
    expect(server.seen).toHaveLength(3);
  });

  test('tries end after the fourth, or at once when the wait would be long', async () => {
    const { client, server } = cluster;
    server.fail(() => true, { status: 429 }, 4);
    expect((await rejection(client.get(CONFIG_MAPS, KEY))).code).toBe('TooManyRequests');
    expect(server.seen).toHaveLength(4);
    server.fail(() => true, { status: 429, headers: { 'retry-after': '60' } });
    expect(await rejection(client.get(CONFIG_MAPS, KEY))).toMatchObject({ retryAfterMs: 60_000 });
    expect(server.seen).toHaveLength(5);
  });

  test('a refused token is read anew from its file, once', async () => {
    const { client, server, folder } = cluster;
    expect(await client.get(CONFIG_MAPS, KEY)).toBeNull();
    await writeFile(path.join(folder, 'token'), 'second-token');
    server.fail(({ headers }) => headers.authorization !== 'Bearer second-token', { status: 401 }, 2);
    expect(await client.get(CONFIG_MAPS, KEY)).toBeNull();
    expect(server.seen.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer first-token',
      'Bearer first-token',
      'Bearer second-token',
    ]);
    server.fail(() => true, { status: 401 }, 2);
    expect(await rejection(client.get(CONFIG_MAPS, KEY))).toMatchObject({ code: 'Unavailable', status: 401 });
    expect(server.seen).toHaveLength(5);
  });
});

test('every attempt is counted by verb, kind and code', async () => {
  const { client, server, registry } = cluster;
  server.fail(() => true, { status: 503 });
  await client.get(CONFIG_MAPS, KEY);
  const text = await registry.metrics();
  expect(text).toContain(
    'sealgate_operator_api_requests_total{verb="get",resource="configmaps",code="503"} 1',
  );
  expect(text).toContain(
    'sealgate_operator_api_requests_total{verb="get",resource="configmaps",code="404"} 1',
  );
  expect(text).toContain(
    'sealgate_operator_api_request_duration_seconds_count{verb="get",resource="configmaps"} 2',
  );
});
