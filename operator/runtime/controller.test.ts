import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import { settle, TestClock } from '../clock.testkit.ts';
import { ALL_NAMESPACES, ObjectCache } from '../kube/cache.ts';
import { KubeError } from '../kube/kubeApi.ts';
import { keyText } from '../kube/paths.ts';
import type { KubeObject, ObjectKey } from '../kube/resource.ts';
import { Controller } from './controller.ts';
import { createQueueMetrics } from './queueMetrics.ts';
import type { ReconcileResult } from './reconciler.ts';

const TYPE = { group: '', version: 'v1', plural: 'configmaps', kind: 'ConfigMap', namespaced: true };

function object(name: string, version: string, labels: Record<string, string> = {}): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace: 'n', name, uid: name, resourceVersion: version, labels },
  };
}

let clock: TestClock;
let cache: ObjectCache;
let registry: Registry;
let lines: PassThrough;
let seen: string[];
let act: (key: ObjectKey, signal: AbortSignal) => Promise<ReconcileResult>;
let controller: Controller;
let end: AbortController;

beforeEach(() => {
  clock = new TestClock();
  cache = new ObjectCache({ type: TYPE });
  registry = new Registry();
  lines = new PassThrough({ encoding: 'utf8' });
  seen = [];
  act = () => Promise.resolve({});
  end = new AbortController();
  controller = new Controller({
    reconciler: {
      name: 'test',
      reconcile: (key, signal) => {
        seen.push(keyText(key));
        return act(key, signal);
      },
    },
    caches: [cache],
    workers: 2,
    clock,
    random: () => 0,
    log: pino({ level: 'debug' }, lines),
    metrics: createQueueMetrics(registry),
  });
});

describe('a controller', () => {
  test('begins when its caches are synced, with all that is in them', async () => {
    controller.watch(cache);
    controller.enqueue({ namespace: 'n', name: 'early' });
    const running = controller.run(end.signal);
    await settle();
    expect(seen).toEqual([]);
    cache.replace(ALL_NAMESPACES, [object('x', '1')]);
    await settle();
    expect(seen.sort()).toEqual(['n/early', 'n/x']);
    end.abort();
    await running;
  });

  test('maps changes to keys, of the old state too', async () => {
    controller.watch(cache, ({ metadata }) => [{ namespace: 'n', name: metadata.labels?.['to'] ?? 'none' }]);
    cache.replace(ALL_NAMESPACES, [object('x', '1', { to: 'a' })]);
    const running = controller.run(end.signal);
    await settle();
    cache.upsert(object('x', '2', { to: 'b' }));
    await settle();
    expect(seen).toEqual(['n/a', 'n/a', 'n/b']);
    end.abort();
    await running;
  });

  test('looks once at an object that changed, also when a worker waits for it', async () => {
    controller.watch(cache);
    cache.replace(ALL_NAMESPACES, [object('x', '1')]);
    const running = controller.run(end.signal);
    await settle();
    cache.upsert(object('x', '2'));
    await settle();
    expect(seen).toEqual(['n/x', 'n/x']);
    end.abort();
    await running;
  });

  test('leaves out changes that the filter calls none', async () => {
    controller.watch(cache, undefined, (event) => event.type !== 'updated');
    cache.replace(ALL_NAMESPACES, [object('x', '1')]);
    const running = controller.run(end.signal);
    await settle();
    cache.upsert(object('x', '2'));
    await settle();
    expect(seen).toEqual(['n/x']);
    end.abort();
    await running;
  });

  test('looks again when the reconciler asks for it', async () => {
    act = () => Promise.resolve({ requeueAfterMs: 60_000 });
    cache.replace(ALL_NAMESPACES, []);
    const running = controller.run(end.signal);
    controller.enqueue({ namespace: 'n', name: 'x' });
    await clock.advance(59_999);
    expect(seen).toHaveLength(1);
    await clock.advance(1);
    expect(seen).toHaveLength(2);
    end.abort();
    await running;
  });

  test('tries again after a failure, later each time, and says so', async () => {
    act = () => Promise.reject(new Error('out of order'));
    cache.replace(ALL_NAMESPACES, []);
    const running = controller.run(end.signal);
    controller.enqueue({ namespace: 'n', name: 'x' });
    await clock.advance(5 + 10 + 20);
    expect(seen).toHaveLength(4);
    expect(String(lines.read())).toMatch(/"object":"n\/x","failures":4,"delayMs":40/);
    expect(await registry.metrics()).toContain(
      'sealgate_operator_reconciles_total{controller="test",result="error"} 4',
    );
    act = () => Promise.resolve({});
    await clock.advance(40);
    await clock.advance(3_600_000);
    expect(seen).toHaveLength(5);
    end.abort();
    await running;
  });

  test('a conflict is retried at once and quietly, and waits as long as the server asks', async () => {
    let failure = new KubeError('Conflict', 'patch: Conflict');
    act = () => Promise.reject(failure);
    cache.replace(ALL_NAMESPACES, []);
    const running = controller.run(end.signal);
    controller.enqueue({ namespace: 'n', name: 'x' });
    await settle();
    expect(String(lines.read())).not.toContain('"level":40');
    failure = new KubeError('TooManyRequests', 'patch: later', { retryAfterMs: 9_000 });
    await clock.advance(5);
    expect(clock.nextDelayMs).toBe(9_000);
    expect(await registry.metrics()).toContain('result="conflict"} 1');
    end.abort();
    await running;
  });

  test('heeds what the server asks for no longer than 5 minutes', async () => {
    act = () => Promise.reject(new KubeError('Unavailable', 'patch: later', { retryAfterMs: 86_400_000 }));
    cache.replace(ALL_NAMESPACES, []);
    const running = controller.run(end.signal);
    controller.enqueue({ namespace: 'n', name: 'x' });
    await settle();
    expect(clock.nextDelayMs).toBe(300_000);
    end.abort();
    await running;
  });

  test('works on several keys, never on one twice at a time', async () => {
    const held = Promise.withResolvers<ReconcileResult>();
    act = () => held.promise;
    cache.replace(ALL_NAMESPACES, []);
    const running = controller.run(end.signal);
    for (const name of ['x', 'x', 'y', 'z']) controller.enqueue({ namespace: 'n', name });
    await settle();
    controller.enqueue({ namespace: 'n', name: 'x' });
    await settle();
    expect(seen).toEqual(['n/x', 'n/y']);
    held.resolve({});
    await settle();
    expect(seen.sort()).toEqual(['n/x', 'n/x', 'n/y', 'n/z']);
    end.abort();
    await running;
  });

  test('tells a reconcile that takes too long to stop', async () => {
    let signal = end.signal;
    act = (_key, given) => {
      signal = given;
      return new Promise((_resolve, reject) => given.addEventListener('abort', () => reject(given.reason)));
    };
    cache.replace(ALL_NAMESPACES, []);
    const running = controller.run(end.signal);
    controller.enqueue({ namespace: 'n', name: 'x' });
    await clock.advance(119_999);
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    expect(signal.aborted).toBe(true);
    end.abort();
    await running;
  });

  test('ends only after the reconciles that run have ended', async () => {
    const held = Promise.withResolvers<ReconcileResult>();
    act = () => held.promise;
    cache.replace(ALL_NAMESPACES, []);
    let ended = false;
    const running = controller.run(end.signal).then(() => {
      ended = true;
    });
    controller.enqueue({ namespace: 'n', name: 'x' });
    controller.enqueue({ namespace: 'n', name: 'y' });
    await settle();
    end.abort();
    await settle();
    expect(ended).toBe(false);
    held.reject(new Error('broken off'));
    await running;
    expect(seen).toHaveLength(2);
    expect(clock.nextDelayMs).toBeUndefined();
  });

  test('ends without work when it is told to before its caches are synced', async () => {
    const running = controller.run(end.signal);
    end.abort();
    await running;
    expect(seen).toEqual([]);
  });
});
