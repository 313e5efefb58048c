/**
 * Many buckets at once, with the real operator, data plane and API server: what each costs, that none costs more because
 * there are others, and that nothing is asked or written when nothing changes.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock, wait } from '../../operator/clock.ts';
import type { ObjectCache } from '../../operator/kube/cache.ts';
import { ENCRYPTED_BUCKET, KMS_CONNECTION, SECRET } from '../../operator/kube/kinds.ts';
import { keyOf, keyText } from '../../operator/kube/paths.ts';
import type { KubeObject, ObjectKey } from '../../operator/kube/resource.ts';
import { readBuckets, readCondition } from './operatorScale/conditions.ts';
import {
  type Cost,
  measure,
  memoryOf,
  readsIn,
  tell,
  tellCost,
  totalOf,
  writesIn,
} from './operatorScale/figures.ts';
import { bucketObject, installForScale, type ScaleInstallation } from './operatorScale/installation.ts';

const soak = process.env['SEALGATE_SOAK'] === '1';
const BUCKETS = soak ? 1_000 : 100;
/** So many are made when there are none, and so many when all others are there. */
const FEW = soak ? 50 : 25;
/** In the long form every bucket is looked at at least once. */
const STEADY_MS = soak ? 360_000 : 10_000;
const AT_ONCE = 16;

const namespaces = Array.from({ length: 20 }, (_, n) => `team-${String(n).padStart(2, '0')}`);
const keys = Array.from(
  { length: BUCKETS },
  (_, n): ObjectKey => ({
    namespace: namespaces[n % namespaces.length] ?? '',
    name: `bucket-${String(n).padStart(4, '0')}`,
  }),
);
const never = new AbortController().signal;

let installation: ScaleInstallation;

beforeAll(async () => {
  installation = await installForScale(namespaces);
}, 240_000);

afterAll(async () => {
  await installation?.[Symbol.asyncDispose]();
});

/** Carries out `work` for each, some at once. */
async function forEach<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

/** Resolves when the cache shows each of them so; undefined: it is gone. */
async function untilEach(
  cache: ObjectCache,
  wanted: readonly ObjectKey[],
  isSo: (object: KubeObject | undefined) => boolean,
): Promise<void> {
  const left = new Set(wanted.map(keyText).filter((key) => key !== ''));
  for (const key of wanted) if (isSo(cache.get(key))) left.delete(keyText(key));
  const all = Promise.withResolvers<void>();
  const end = cache.subscribe(({ type, object }) => {
    const key = keyText(keyOf(object));
    if (isSo(type === 'deleted' ? undefined : object)) left.delete(key);
    else if (wanted.some((one) => keyText(one) === key)) left.add(key);
    if (left.size === 0) all.resolve();
  });
  if (left.size === 0) all.resolve();
  await all.promise;
  end();
}

const isReady = (object: KubeObject | undefined): boolean =>
  object !== undefined && readCondition(object, 'Ready') === `True ${object.metadata.generation}`;

/** Resolves when the operator has asked the API server for nothing but its Lease for a second. */
async function quiet(): Promise<void> {
  for (;;) {
    const end = await measure(installation);
    await wait(systemClock, 1_000, never);
    if (totalOf((await end()).api) === 0) return;
  }
}

async function create(some: readonly ObjectKey[]): Promise<Cost> {
  const end = await measure(installation);
  await forEach(some, async ({ namespace, name }) => {
    await installation.runtime.client.create(ENCRYPTED_BUCKET, bucketObject(namespace, name));
  });
  await untilEach(installation.buckets, some, isReady);
  const { seconds, cpuMs } = await end();
  await quiet();
  return { ...(await end()), seconds, cpuMs };
}

async function tellMemory(when: string): Promise<void> {
  const { operator, kubelet } = installation;
  const [ours, theirs] = [await memoryOf(operator.pid), await memoryOf(kubelet.dataPlanePid)];
  tell(
    `memory ${when}: operator ${ours.now} MiB (peak ${ours.peak}), data plane ${theirs.now} MiB (peak ${theirs.peak})`,
  );
}

const perOne = (counts: Readonly<Record<string, number>>, objects: number): Record<string, number> =>
  Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, count / objects]));

test('a bucket costs the same requests whether there are few others or many', async () => {
  const { connections } = installation;
  await untilEach(connections, [{ namespace: 'kms', name: 'main' }], isReady);
  await quiet();
  await tellMemory('at the start');
  const first = await create(keys.slice(0, FEW));
  tellCost('created beside none', FEW, first);
  const rest = await create(keys.slice(FEW, BUCKETS - FEW));
  tellCost(`created beside ${FEW}`, BUCKETS - 2 * FEW, rest);
  const last = await create(keys.slice(BUCKETS - FEW));
  tellCost(`created beside ${BUCKETS - FEW}`, FEW, last);
  for (const [name, each] of Object.entries(perOne(last.api, FEW))) {
    expect([name, each]).toEqual([name, expect.closeTo(perOne(first.api, FEW)[name] ?? 0, 0)]);
  }
  await tellMemory(`with ${BUCKETS} buckets`);
  expect(last.reconciles).toBeLessThanOrEqual(1.2 * FEW);
  expect(totalOf(last.admin)).toBeLessThanOrEqual(1.2 * totalOf(first.admin));
  // Time that other processes take part in proves nothing.
  expect(last.cpuMs).toBeLessThan(1.5 * first.cpuMs);
});

/**
 * The number of its buckets stands in a connection's status: at once when there are any, then every five minutes at most.
 */
async function untilCounted(): Promise<void> {
  const { runtime, connections } = installation;
  const key = { namespace: 'kms', name: 'main' };
  await runtime.client.mergePatch(KMS_CONNECTION, key, { metadata: { annotations: { look: 'now' } } });
  const enough = soak ? 0.99 * BUCKETS : 1;
  await untilEach(connections, [key], (object) => object !== undefined && readBuckets(object) >= enough);
  await quiet();
}

test('in the steady state nothing is written and next to nothing read', async () => {
  await untilCounted();
  const end = await measure(installation);
  await wait(systemClock, STEADY_MS, never);
  const cost = await end();
  tellCost('steady state', BUCKETS, cost);
  tell(
    `  ${(readsIn(cost) / cost.seconds).toFixed(3)} reads/s, ${(totalOf(cost.admin) / cost.seconds).toFixed(2)} admin requests/s`,
  );
  expect(writesIn(cost)).toBe(0);
  expect(readsIn(cost) / cost.seconds).toBeLessThanOrEqual(1);
});

test('a change costs what it changes', async () => {
  const { runtime, buckets } = installation;
  const end = await measure(installation);
  await forEach(keys, async (key) => {
    const index = Number(key.name.slice(-4));
    const access = [{ name: 'app', permissions: 'ReadOnly', secretName: `${key.name}-access` }];
    const spec = index % 2 === 0 ? { access } : { keyRotation: { interval: '2160h' } };
    await runtime.client.mergePatch(ENCRYPTED_BUCKET, key, { spec });
  });
  await untilEach(buckets, keys, isReady);
  const { seconds, cpuMs } = await end();
  await quiet();
  const cost = { ...(await end()), seconds, cpuMs };
  tellCost('changed', BUCKETS, cost);
  expect(cost.reconciles).toBeLessThanOrEqual(1.2 * BUCKETS);
  // One status each, and nothing else of them; the connection's may come in between.
  expect(writesIn(cost)).toBeLessThanOrEqual(1.1 * BUCKETS);
});

test('a deletion leaves no Secret', async () => {
  const { runtime, buckets } = installation;
  const end = await measure(installation);
  await forEach(keys, async (key) => await runtime.client.delete(ENCRYPTED_BUCKET, key));
  await untilEach(buckets, keys, (object) => object === undefined);
  const { seconds, cpuMs } = await end();
  await quiet();
  tellCost('deleted', BUCKETS, { ...(await end()), seconds, cpuMs });
  await tellMemory('at the end');
  const labelSelector = 'sealgate.io/owned-by=sealgate';
  expect(await runtime.client.list(SECRET, { labelSelector })).toEqual([]);
});
