import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { settle } from '../clock.testkit.ts';
import { KMS_CONNECTION, SECRET } from '../kube/kinds.ts';
import { createQueueMetrics } from '../runtime/queueMetrics.ts';
import { ACCESS, type BucketWorld, KEY, NAMESPACE, SECRET_KEY, setUpBuckets } from './bucket.testkit.ts';
import { bucketController } from './bucketController.ts';

const KMSC = { namespace: 'team-a', name: 'keysecure' };
const OTHER = { namespace: 'team-b', name: 'elsewhere' };

let world: BucketWorld;
let end: AbortController;
let running: Promise<void>;

beforeEach(async () => {
  world = setUpBuckets();
  end = new AbortController();
  const controller = bucketController(world.deps(), {
    workers: 2,
    clock: world.clock,
    random: () => 0,
    log: pino({ level: 'silent' }),
    metrics: createQueueMetrics(new Registry()),
  });
  world.declare({ access: ACCESS });
  world.declare({ kmsConnectionRef: { name: 'another' } }, OTHER);
  running = controller.run(end.signal);
  for (let look = 0; look < 5; look += 1) await settle();
  expect(world.condition('Ready')).toBe('True Ready');
  world.dataPlane.calls.length = 0;
});

afterEach(async () => {
  end.abort();
  await running;
});

/** The buckets that were looked at because of it. */
async function lookedAt(change: () => unknown): Promise<string[]> {
  change();
  for (let look = 0; look < 5; look += 1) await settle();
  return [...new Set(world.dataPlane.calls.map((call) => call.split(' ')[1] ?? ''))].filter(
    (name) => !name.includes('/'),
  );
}

test('a change of the connection concerns the buckets that refer to it', async () => {
  const spec = { allowedNamespaces: { from: 'All' } };
  expect(await lookedAt(() => world.api.edit(KMS_CONNECTION, KMSC, { spec }))).toEqual(['invoices']);
});

test('a KMS that comes and goes concerns no bucket', async () => {
  const conditions = (status: string) => [
    { type: 'Ready', status, reason: 'x', message: '', lastTransitionTime: '2030-01-01T00:00:00Z' },
  ];
  const flap = (): void => {
    for (const status of ['False', 'True']) {
      world.api.edit(KMS_CONNECTION, KMSC, { status: { conditions: conditions(status) } });
    }
  };
  expect(await lookedAt(flap)).toEqual([]);
});

test('a change of the labels of a namespace concerns its buckets', async () => {
  const key = { namespace: '', name: 'team-b' };
  expect(await lookedAt(() => world.api.edit(NAMESPACE, key, { metadata: { labels: { x: 'y' } } }))).toEqual([
    'elsewhere',
  ]);
  world.dataPlane.calls.length = 0;
  expect(
    await lookedAt(() => world.api.edit(NAMESPACE, key, { metadata: { annotations: { x: 'y' } } })),
  ).toEqual([]);
});

test('a Secret that is deleted is made again at once', async () => {
  await lookedAt(() => world.api.remove(SECRET, SECRET_KEY));
  expect(world.secret()?.['AWS_ACCESS_KEY_ID']).toBe(world.keyIds()[0]);
});

test('a Secret of nobody concerns nobody', async () => {
  expect(await lookedAt(() => world.api.edit(SECRET, { ...KEY, name: 'x' }, { data: {} }))).toEqual([]);
});

test('a new bucket is looked at once: finalizer, Secret and status of our own lead to no second look', async () => {
  const key = { namespace: 'team-a', name: 'orders' };
  await lookedAt(() =>
    world.declare({ access: [{ name: 'app', permissions: 'ReadWrite', secretName: 'orders-s3' }] }, key),
  );
  expect(world.condition('Ready', key)).toBe('True Ready');
  expect(world.dataPlane.calls.filter((call) => call.endsWith(' orders'))).toEqual(['declareBucket orders']);
});
