import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import { settle, TestClock } from '../clock.testkit.ts';
import { EVENTS, EventWriter } from './events.ts';
import { silentLog } from './fakeCluster.testkit.ts';
import { KubeError } from './kubeApi.ts';
import { MemoryApi } from './memoryApi.testkit.ts';
import type { KubeObject } from './resource.ts';

const BUCKET: KubeObject = {
  apiVersion: 'sealgate.io/v1alpha1',
  kind: 'EncryptedBucket',
  metadata: { namespace: 'team', name: 'invoices', uid: 'u1', resourceVersion: '7' },
};
const READY = {
  type: 'Normal',
  reason: 'BucketReady',
  action: 'Reconcile',
  note: 'The bucket is ready.',
} as const;

let clock: TestClock;
let api: MemoryApi;
let registry: Registry;
let events: EventWriter;

beforeEach(() => {
  clock = new TestClock();
  api = new MemoryApi();
  registry = new Registry();
  events = new EventWriter({ api, clock, log: silentLog, registry, identity: 'operator-1' });
});

const written = (): Promise<readonly KubeObject[]> => api.list(EVENTS, {});
const counts = async (): Promise<string> =>
  await registry.getSingleMetricAsString('sealgate_operator_events_total');

describe('events', () => {
  test('are written with what the API asks for', async () => {
    events.record(BUCKET, READY);
    await settle();
    const [event] = await written();
    expect(event).toMatchObject({
      metadata: { namespace: 'team' },
      regarding: { apiVersion: 'sealgate.io/v1alpha1', kind: 'EncryptedBucket', name: 'invoices', uid: 'u1' },
      reportingController: 'sealgate.io/operator',
      reportingInstance: 'operator-1',
      eventTime: '2030-01-01T00:16:40.000000Z',
      ...READY,
    });
    expect(event).not.toHaveProperty('series');
  });

  test('the same again becomes a series of the first: written with the second, then once a minute', async () => {
    events.record(BUCKET, READY);
    await clock.advance(1_000);
    events.record(BUCKET, READY);
    await clock.advance(1_000);
    for (let n = 0; n < 500; n += 1) events.record(BUCKET, READY);
    await clock.advance(59_000);
    const [event, ...others] = await written();
    expect(others).toEqual([]);
    expect(event?.['series']).toEqual({ count: 502, lastObservedTime: '2030-01-01T00:16:42.000000Z' });
    expect(api.calls.filter(({ verb }) => verb === 'patch')).toHaveLength(2);
  });

  test('another object, another note, or ten minutes later is another event', async () => {
    events.record(BUCKET, READY);
    events.record({ ...BUCKET, metadata: { ...BUCKET.metadata, uid: 'u2' } }, READY);
    events.record(BUCKET, { ...READY, note: 'Other.' });
    await clock.advance(10 * 60_000);
    events.record(BUCKET, READY);
    await settle();
    expect(await written()).toHaveLength(4);
  });

  test('a series whose event the server has forgotten is written anew', async () => {
    events.record(BUCKET, READY);
    await settle();
    const [event] = await written();
    await api.delete(EVENTS, { namespace: 'team', name: event?.metadata.name ?? '' });
    events.record(BUCKET, READY);
    await settle();
    expect((await written())[0]?.['series']).toMatchObject({ count: 2 });
  });

  test('what cannot be written is dropped and counted, and what comes later is written', async () => {
    api.before = () => Promise.reject(new KubeError('Forbidden', 'create Event: Forbidden'));
    events.record(BUCKET, READY);
    await settle();
    api.before = () => Promise.resolve();
    expect(await written()).toEqual([]);
    events.record(BUCKET, { ...READY, reason: 'Other' });
    await settle();
    expect(await written()).toHaveLength(1);
    expect(await counts()).toContain('{result="dropped"} 1');
    expect(await counts()).toContain('{result="written"} 1');
  });

  test('a server that does not answer holds nobody up, and the queue has an end', async () => {
    api.before = (_call, signal) =>
      new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(new Error('given up'))),
      );
    for (let n = 0; n < 1_500; n += 1) events.record(BUCKET, { ...READY, note: String(n) });
    expect(await counts()).toContain('{result="dropped"} 499');
    const closing = events.close();
    await clock.advance(10_000);
    await closing;
    expect(await counts()).toContain('{result="dropped"} 1500');
    events.record(BUCKET, READY);
    expect(api.calls).toHaveLength(1);
  });

  test('long notes and names are cut to what the API takes', async () => {
    const name = 'n'.repeat(253);
    events.record({ ...BUCKET, metadata: { name } }, { ...READY, note: 'x'.repeat(5_000) });
    await settle();
    const [event] = await written();
    expect(event?.['note']).toBe(`${'x'.repeat(1_021)}…`);
    expect(event?.metadata.name.length).toBeLessThanOrEqual(253);
    expect(event?.metadata.namespace).toBe('default');
  });

  test.each([
    ['that are as long as the API takes stay whole', `${'x'.repeat(1_022)}é`, `${'x'.repeat(1_022)}é`],
    ['of characters of several bytes are cut between two of them', 'é'.repeat(513), `${'é'.repeat(510)}…`],
    ['of characters of two code units are cut between two of them', '😀'.repeat(300), `${'😀'.repeat(255)}…`],
  ])('notes %s', async (_how, note, expected) => {
    events.record(BUCKET, { ...READY, note });
    await settle();
    expect((await written())[0]?.['note']).toBe(expected);
  });

  test.each(['.', '-', '-.'])('a name that is cut after %j is still one', async (end) => {
    const name = `${'n'.repeat(200 - end.length)}${end}${'m'.repeat(20)}`;
    events.record({ ...BUCKET, metadata: { ...BUCKET.metadata, name } }, READY);
    await settle();
    expect((await written())[0]?.metadata.name).toMatch(/^n+\.[0-9a-f]{16}$/);
  });
});
