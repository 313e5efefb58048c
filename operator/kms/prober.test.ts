import { Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import type { KmsConnectionSettings } from '../../dataplane/keys/settings.ts';
import { settle, TestClock } from '../clock.testkit.ts';
import type { ObjectKey } from '../kube/resource.ts';
import { connectionName } from './connectionFile.ts';
import type { EndpointProbe, EndpointVerdict } from './probe.ts';
import { createProbeMetrics } from './probeMetrics.ts';
import { Prober } from './prober.ts';

const KEY = { namespace: 'team-a', name: 'keysecure' };
const SETTINGS: KmsConnectionSettings = {
  name: 'team-a/keysecure',
  endpoints: [{ host: 'ks1', port: 5696 }],
  tls: { cert: '', key: '', ca: '' },
  protocol: { min: '1.1', max: '1.4' },
  keyNamePrefix: 'sealgate',
  objectGroup: true,
  timeouts: { connectMs: 1_000, requestMs: 1_000, totalMs: 1_000 },
  cache: { ttlMs: 0, staleLimitMs: 0 },
};

/** A prober whose connection is looked at when it asks for it, as the controller does. */
function setUp() {
  const clock = new TestClock();
  const startedMs = clock.steadyMs();
  const registry = new Registry();
  const metrics = createProbeMetrics(registry);
  const world = {
    verdict: 'Up' as EndpointVerdict,
    /** When each probe was made, in s. */
    times: [] as number[],
    revision: 'r1',
    settings: SETTINGS,
    /** Awaited in each probe. */
    probing: Promise.resolve(),
    forget: () => prober.forget(KEY),
    idle: () => prober.idle(),
    /** `connection endpoint` of all series that stand in the metrics. */
    series: async (): Promise<string[]> => {
      const text = await registry.metrics();
      const found = text.matchAll(/(?:_total|_count)\{connection="([^"]+)",endpoint="([^"]+)"/g);
      return [...found].map(([, connection, endpoint]) => `${connection} ${endpoint}`).toSorted();
    },
    /** One look; the ms until the next. */
    look: async (): Promise<number> => {
      let delayMs = prober.ensure(KEY, world.revision, world.settings);
      await prober.idle();
      if (news) delayMs = prober.ensure(KEY, world.revision, world.settings);
      news = false;
      return delayMs;
    },
    /** Looks as often as it asks for it, so long. */
    lookFor: async (forMs: number): Promise<void> => {
      const endMs = clock.steadyMs() + forMs;
      for (;;) {
        const delayMs = await world.look();
        if (clock.steadyMs() + delayMs > endMs) break;
        await clock.advance(delayMs);
      }
      await clock.advance(endMs - clock.steadyMs());
    },
  };
  let news = false;
  const prober = new Prober({
    clock,
    random: () => 0.5,
    enqueue: () => {
      news = true;
    },
    onError: (error) => {
      throw error;
    },
    keepOnly: (connection, endpoints) => metrics.keepOnly(connection, endpoints),
    probe: async ({ name, endpoints }) => {
      await world.probing;
      for (const endpoint of endpoints) metrics.probed(name, endpoint, world.verdict, 5);
      world.times.push((clock.steadyMs() - startedMs) / 1_000);
      const up = world.verdict === 'Up';
      const found: EndpointProbe = {
        host: 'ks1',
        port: 5696,
        verdict: world.verdict,
        message: up ? null : 'it is away',
        protocolVersion: null,
        vendor: null,
      };
      return await Promise.resolve([found]);
    },
  });
  return world;
}

test('a KMS that is up is looked at once a minute', async () => {
  const world = setUp();
  await world.lookFor(130_000);
  expect(world.times).toEqual([0, 60, 120]);
});

test('a KMS that is not up is looked at after 5 seconds and then less and less often, every 30 at the least', async () => {
  const world = setUp();
  world.verdict = 'Unreachable';
  await world.lookFor(100_000);
  expect(world.times).toEqual([0, 5, 15, 35, 65, 95]);
});

test('after it is up again it is looked at once a minute, and the next outage begins anew', async () => {
  const world = setUp();
  world.verdict = 'Unreachable';
  await world.lookFor(20_000);
  world.verdict = 'Up';
  await world.lookFor(80_000);
  world.verdict = 'AuthenticationFailed';
  await world.lookFor(62_000);
  expect(world.times).toEqual([0, 5, 15, 35, 95, 155, 160]);
});

test('a change is looked at once, and what fails then is looked at soon', async () => {
  const world = setUp();
  await world.lookFor(30_000);
  world.revision = 'r2';
  world.verdict = 'TlsFailed';
  await world.lookFor(8_000);
  world.revision = 'r3';
  await world.lookFor(6_000);
  expect(world.times).toEqual([0, 30, 35, 38, 43]);
});

describe('the metrics', () => {
  const at = (host: string): KmsConnectionSettings => ({ ...SETTINGS, endpoints: [{ host, port: 5696 }] });

  test('tell of the endpoints that a connection has, and not of those that it had', async () => {
    const world = setUp();
    await world.look();
    world.verdict = 'Unreachable';
    await world.lookFor(60_000);
    expect(new Set(await world.series())).toEqual(new Set(['team-a/keysecure ks1:5696']));
    world.revision = 'r2';
    world.settings = at('ks2');
    await world.look();
    expect(new Set(await world.series())).toEqual(new Set(['team-a/keysecure ks2:5696']));
  });

  test('tell nothing of a connection that is gone, also when a probe of it ends later', async () => {
    const world = setUp();
    await world.look();
    const { promise, resolve } = Promise.withResolvers<void>();
    world.probing = promise;
    world.revision = 'r2';
    const looking = world.look();
    world.forget();
    expect(await world.series()).toEqual([]);
    resolve();
    await looking;
    expect(await world.series()).toEqual([]);
  });
});

describe('probes that take long', () => {
  /** A prober whose probes end when the test says so. */
  function setUpSlow() {
    const started: string[] = [];
    const ends = new Map<string, () => void>();
    const news: string[] = [];
    const prober = new Prober({
      clock: new TestClock(),
      random: () => 0.5,
      enqueue: (key) => news.push(connectionName(key)),
      keepOnly: () => undefined,
      onError: (error) => {
        throw error;
      },
      probe: async ({ name }) => {
        started.push(name);
        await new Promise<void>((resolve) => ends.set(name, resolve));
        return [];
      },
    });
    return {
      started,
      news,
      ensure: (key: ObjectKey, revision = 'r1'): number =>
        prober.ensure(key, revision, { ...SETTINGS, name: connectionName(key) }),
      end: async (name: string): Promise<void> => {
        ends.get(name)?.();
        await settle();
      },
    };
  }

  test('run two at a time of one namespace, and hold up none of another', async () => {
    const { started, ensure, end } = setUpSlow();
    for (let n = 0; n < 20; n += 1) ensure({ namespace: 'team-a', name: `k${n}` });
    ensure({ namespace: 'team-b', name: 'k' });
    await settle();
    expect(started).toEqual(['team-a/k0', 'team-a/k1', 'team-b/k']);
    await end('team-b/k');
    expect(started).toHaveLength(3);
    await end('team-a/k1');
    expect(started.slice(3)).toEqual(['team-a/k2']);
  });

  test('run eight at a time altogether, and the others in the order in which they came', async () => {
    const { started, ensure, end } = setUpSlow();
    for (let n = 0; n < 10; n += 1) ensure({ namespace: `team-${n}`, name: 'k' });
    await settle();
    expect(started).toHaveLength(8);
    await end('team-3/k');
    await end('team-5/k');
    expect(started.slice(8)).toEqual(['team-8/k', 'team-9/k']);
  });

  test('are followed by one with the files that came meanwhile, and need no look before that', async () => {
    const { started, news, ensure, end } = setUpSlow();
    ensure(KEY);
    await settle();
    expect(ensure(KEY, 'r2')).toBe(60_000);
    expect(news).toEqual([]);
    await end('team-a/keysecure');
    expect(news).toEqual(['team-a/keysecure']);
    ensure(KEY, 'r2');
    await settle();
    expect(started).toHaveLength(2);
  });
});
