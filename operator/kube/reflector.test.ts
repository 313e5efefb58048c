import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TestClock } from '../clock.testkit.ts';
import { type Clock, systemClock } from '../clock.ts';
import { type CacheEvent, ObjectCache } from './cache.ts';
import type { SeenRequest } from './fakeApiServer.testkit.ts';
import {
  CONFIG_MAPS,
  configMap,
  type FakeCluster,
  silentLog,
  startFakeCluster,
  until,
} from './fakeCluster.testkit.ts';
import { KubeError } from './kubeApi.ts';
import { Reflector, type ReflectorTimes } from './reflector.ts';
import type { WatchApi } from './watchApi.ts';

const COLLECTION = '/api/v1/namespaces/a/configmaps';
const FAST: Partial<ReflectorTimes> = { backoff: { firstMs: 1, longestMs: 2 }, tooShortMs: 0 };
const isWatch = ({ query }: SeenRequest): boolean => query.get('watch') === 'true';
const isList = (request: SeenRequest): boolean => request.method === 'GET' && !isWatch(request);

let cluster: FakeCluster;
let end: AbortController;
let running: Promise<void>;
let events: string[];

beforeEach(async () => {
  cluster = await startFakeCluster();
  end = new AbortController();
  running = Promise.resolve();
  events = [];
});
afterEach(async () => {
  end.abort();
  await running;
  await cluster.close();
});

interface Started {
  readonly namespaces?: readonly string[];
  readonly metadataOnly?: boolean;
  readonly forbiddenIsEmpty?: boolean;
  readonly clock?: Clock;
  readonly times?: Partial<ReflectorTimes>;
  readonly api?: WatchApi;
}

function start(options: Started = {}): ObjectCache {
  const { namespaces, metadataOnly = false, forbiddenIsEmpty = false } = options;
  const cache = new ObjectCache({ type: CONFIG_MAPS, namespaces });
  cache.subscribe((event: CacheEvent) => events.push(`${event.type} ${event.object.metadata.name}`));
  const reflector = new Reflector({
    api: options.api ?? cluster.client,
    cache,
    namespaces,
    metadataOnly,
    forbiddenIsEmpty,
    clock: options.clock ?? systemClock,
    random: () => 0.5,
    log: silentLog,
    metrics: cluster.metrics,
    times: options.times ?? FAST,
  });
  running = reflector.run(end.signal);
  return cache;
}

function names(cache: ObjectCache): string[] {
  return cache
    .list()
    .map(({ metadata }) => metadata.name)
    .sort();
}

describe('a reflector', () => {
  test('takes over the list, then every change, and nothing twice', async () => {
    const { server, client } = cluster;
    server.store.create(COLLECTION, configMap('a', 'x'));
    const watching = server.arrival(isWatch);
    const cache = start();
    await cache.whenSynced(end.signal);
    await watching;
    await client.create(CONFIG_MAPS, configMap('a', 'y'));
    await client.mergePatch(CONFIG_MAPS, { namespace: 'a', name: 'x' }, { data: { k: '1' } });
    await client.delete(CONFIG_MAPS, { namespace: 'a', name: 'y' });
    await until(cache, () => events.length >= 4);
    expect(events).toEqual(['added x', 'added y', 'updated x', 'deleted y']);
    expect(cache.get({ namespace: 'a', name: 'x' })?.['data']).toEqual({ k: '1' });
    expect(server.seen.filter(isList)).toHaveLength(1);
  });

  test('asks for bookmarks and for a random end between 5 and 10 minutes', async () => {
    const watching = cluster.server.arrival(isWatch);
    start();
    const { query } = await watching;
    expect(query.get('allowWatchBookmarks')).toBe('true');
    expect(query.get('timeoutSeconds')).toBe('450');
  });

  test('asks for metadata alone where contents are not to be held', async () => {
    const watching = cluster.server.arrival(isWatch);
    start({ metadataOnly: true });
    expect((await watching).headers.accept).toBe(
      'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1',
    );
    expect(cluster.server.seen[0]?.headers.accept).toBe(
      'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1',
    );
  });

  test('watches each of its namespaces and no other, and is synced when all are listed', async () => {
    const { server } = cluster;
    for (const namespace of ['a', 'b', 'c']) {
      server.store.create(
        `/api/v1/namespaces/${namespace}/configmaps`,
        configMap(namespace, `in-${namespace}`),
      );
    }
    const held = Promise.withResolvers<void>();
    server.beforePage = ({ path }) => (path.includes('/b/') ? held.promise : Promise.resolve());
    const watching = server.arrival(isWatch);
    const cache = start({ namespaces: ['a', 'b'] });
    await watching;
    expect(cache.synced).toBe(false);
    held.resolve();
    await cache.whenSynced(end.signal);
    expect(names(cache)).toEqual(['in-a', 'in-b']);
    expect(server.seen.some(({ path }) => path.includes('/c/'))).toBe(false);
  });

  test('counts a namespace that may not be read as empty where it is told to, until it may be read', async () => {
    const { server } = cluster;
    server.store.create(COLLECTION, configMap('a', 'in-a'));
    server.store.create('/api/v1/namespaces/b/configmaps', configMap('b', 'in-b'));
    const barred = ({ path }: SeenRequest): boolean => path.includes('/b/');
    server.fail(barred, { status: 403 }, 3);
    const cache = start({ namespaces: ['a', 'b'], forbiddenIsEmpty: true });
    await cache.whenSynced(end.signal);
    expect(names(cache)).toContain('in-a');
    await until(cache, () => names(cache).length === 2);
    expect(events.filter((event) => event.startsWith('deleted'))).toEqual([]);
  });

  test('waits for a namespace while the API server does not know who asks', async () => {
    const { server } = cluster;
    server.store.create(COLLECTION, configMap('a', 'in-a'));
    server.store.create('/api/v1/namespaces/b/configmaps', configMap('b', 'in-b'));
    server.fail(({ path }) => path.includes('/b/'), { status: 401 }, 4);
    const cache = start({ namespaces: ['a', 'b'], forbiddenIsEmpty: true });
    await cache.whenSynced(end.signal);
    expect(names(cache)).toEqual(['in-a', 'in-b']);
  });

  test.each(['', '{"type":"ADDED","obj'])(
    'resumes where it was after a watch that broke off in %j: no list, no event lost, none repeated',
    async (cut) => {
      const { server } = cluster;
      server.store.create(COLLECTION, configMap('a', 'x'));
      let watching = server.arrival(isWatch);
      const cache = start();
      await watching;
      server.store.create(COLLECTION, configMap('a', 'y'));
      await until(cache, () => events.length === 2);
      watching = server.arrival(isWatch);
      server.dropWatches(cut);
      server.store.create(COLLECTION, configMap('a', 'z'));
      const { query } = await watching;
      await until(cache, () => events.length >= 3);
      expect(query.get('resourceVersion')).toBe('102');
      expect(events).toEqual(['added x', 'added y', 'added z']);
      expect(server.seen.filter(isList)).toHaveLength(1);
    },
  );

  test('resumes from a bookmark, although no object of its own had that version', async () => {
    const { server } = cluster;
    let watching = server.arrival(isWatch);
    const cache = start();
    await watching;
    server.store.create('/api/v1/namespaces/a/secrets', configMap('a', 's'));
    server.store.create('/api/v1/namespaces/a/secrets', configMap('a', 't'));
    server.bookmark();
    // The bookmark and this object come in order.
    server.store.create(COLLECTION, configMap('a', 'x'));
    await until(cache, () => events.length === 1);
    server.store.create('/api/v1/namespaces/a/secrets', configMap('a', 'u'));
    server.bookmark();
    server.store.compact();
    watching = server.arrival(isWatch);
    server.endWatches();
    expect((await watching).query.get('resourceVersion')).toBe('104');
    expect(server.seen.filter(isList)).toHaveLength(1);
  });

  test.each<[string, () => void]>([
    [
      'as a status',
      () => {
        cluster.server.store.compact();
        cluster.server.dropWatches();
      },
    ],
    ['as an event', () => cluster.server.errorWatches(410, 'Expired')],
    ['as an event without a code', () => cluster.server.errorWatches(0, 'Gone')],
  ])('lists anew after 410 %s, and tells of deletions that it missed', async (_how, expire) => {
    const { server } = cluster;
    server.store.create(COLLECTION, configMap('a', 'x'));
    server.store.create(COLLECTION, configMap('a', 'y'));
    const watching = server.arrival(isWatch);
    const cache = start();
    await watching;
    server.silenceWatches();
    server.store.remove(`${COLLECTION}/x`, {});
    server.store.create(COLLECTION, configMap('a', 'z'));
    const listing = server.arrival(isList);
    expire();
    await listing;
    await until(cache, () => events.length >= 4);
    expect(events.slice(2)).toEqual(['deleted x', 'added z']);
    expect(names(cache)).toEqual(['y', 'z']);
  });

  test('gives up a watch that fell silent and loses nothing', async () => {
    const clock = new TestClock();
    const { server } = cluster;
    const first = server.arrival(isWatch);
    const cache = start({ clock, times: {} });
    await first;
    await cache.whenSynced(end.signal);
    await clock.advance(0);
    server.silenceWatches();
    server.store.create(COLLECTION, configMap('a', 'missed'));
    const second = server.arrival(isWatch);
    await clock.advance(3 * 60_000);
    await second;
    await until(cache, () => events.length === 1);
    expect(server.seen.filter(isList)).toHaveLength(1);
    expect(await cluster.registry.metrics()).toContain('reason="silent"} 1');
  });

  test('lists anew as a safety net when a watch ends by its time and the last list is old', async () => {
    const clock = new TestClock();
    const { server } = cluster;
    let watching = server.arrival(isWatch);
    start({ clock, times: { silenceMs: Number.POSITIVE_INFINITY } });
    await watching;
    await clock.advance(450_000);
    watching = server.arrival(isWatch);
    server.endWatches();
    expect((await watching).query.get('timeoutSeconds')).toBe('150');
    expect(server.seen.filter(isList)).toHaveLength(1);
    await clock.advance(150_000);
    const listing = server.arrival(isList);
    server.endWatches();
    await listing;
  });

  test('waits out refusals of the list, and syncs then', async () => {
    const { server } = cluster;
    server.store.create(COLLECTION, configMap('a', 'x'));
    server.fail(isList, { status: 500 }, 3);
    server.fail(isList, { status: 403 }, 1);
    const cache = start();
    await cache.whenSynced(end.signal);
    expect(names(cache)).toEqual(['x']);
    expect(server.seen.filter(isList)).toHaveLength(5);
  });

  test('is equal to the server after a storm of changes and broken watches', async () => {
    const { server } = cluster;
    const cache = start();
    await cache.whenSynced(end.signal);
    for (let n = 0; n < 300; n += 1) {
      const name = `n${n % 17}`;
      const path = `${COLLECTION}/${name}`;
      if (server.store.get(path) === undefined) server.store.create(COLLECTION, configMap('a', name));
      else if (n % 5 === 0) server.store.remove(path, {});
      else server.store.patch(path, { data: { n: String(n) } }, { version: undefined, create: false });
      if (n % 23 === 0) server.dropWatches();
      if (n % 61 === 0) server.store.compact();
      if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    server.store.create(COLLECTION, configMap('a', 'last'));
    await until(cache, () => cache.get({ namespace: 'a', name: 'last' }) !== undefined);
    const listed = await cluster.client.list(CONFIG_MAPS, {});
    expect(new Set(cache.list())).toEqual(new Set(listed));
  });
});

test('waits grow from 0.8 s to 30 s while the server stays away, and heed what it asks up to 2 min', async () => {
  const clock = new TestClock();
  const waits: number[] = [];
  let answer = new KubeError('Unavailable', 'away');
  start({
    clock,
    times: {},
    api: {
      listPage: () => Promise.reject(answer),
      watch: () => {
        throw new Error('never asked');
      },
    },
  });
  for (let n = 0; n < 9; n += 1) {
    await clock.advance(0);
    waits.push(clock.nextDelayMs ?? -1);
    if (n === 6) answer = new KubeError('TooManyRequests', 'later', { retryAfterMs: 45_000 });
    if (n === 7) answer = new KubeError('TooManyRequests', 'later', { retryAfterMs: 86_400_000 });
    await clock.advance(clock.nextDelayMs ?? 0);
  }
  expect(waits).toEqual([600, 1_200, 2_400, 4_800, 9_600, 19_200, 22_500, 45_000, 120_000]);
});
