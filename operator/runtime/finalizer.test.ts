import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryApi } from '../kube/memoryApi.testkit.ts';
import type { KubeObject } from '../kube/resource.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from './finalizer.ts';

const TYPE = { group: 'g.io', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
const KEY = { namespace: 'n', name: 't' };
const OURS = 'sealgate.io/finalizer';
const { signal } = new AbortController();

let api: MemoryApi;
let object: KubeObject;

beforeEach(async () => {
  api = new MemoryApi();
  const metadata = { ...KEY, finalizers: ['other/one'] };
  object = await api.create(TYPE, { apiVersion: 'g.io/v1', kind: 'Thing', metadata });
  api.calls.length = 0;
});

async function finalizers(): Promise<readonly string[] | undefined> {
  return (await api.get(TYPE, KEY))?.metadata.finalizers;
}

describe('the finalizer', () => {
  test('is added once and removed once, and those of others stay', async () => {
    const held = await addFinalizer(api, TYPE, object, OURS, signal);
    expect(held.metadata.finalizers).toEqual(['other/one', OURS]);
    expect(hasFinalizer(held, OURS)).toBe(true);
    expect(await addFinalizer(api, TYPE, held, OURS, signal)).toBe(held);
    await removeFinalizer(api, TYPE, held, OURS, signal);
    expect(await finalizers()).toEqual(['other/one']);
    await removeFinalizer(api, TYPE, object, OURS, signal);
    expect(api.calls.filter(({ verb }) => verb === 'patch')).toHaveLength(2);
  });

  test('what another adds meanwhile is a Conflict and is not lost', async () => {
    await api.mergePatch(TYPE, KEY, { metadata: { finalizers: ['other/one', 'other/two'] } });
    await expect(addFinalizer(api, TYPE, object, OURS, signal)).rejects.toMatchObject({ code: 'Conflict' });
    expect(await finalizers()).toEqual(['other/one', 'other/two']);
  });

  test('is written only as long as the signal lets it', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    api.before = async (_call, sent) => {
      signals.push(sent);
      await Promise.resolve();
    };
    await removeFinalizer(api, TYPE, await addFinalizer(api, TYPE, object, OURS, signal), OURS, signal);
    expect(signals).toEqual([signal, signal]);
  });

  test('an object that is gone needs no removal', async () => {
    const held = await addFinalizer(api, TYPE, object, OURS, signal);
    await api.delete(TYPE, KEY);
    await removeFinalizer(api, TYPE, held, OURS, signal);
  });
});
