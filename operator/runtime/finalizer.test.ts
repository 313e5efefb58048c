import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryApi } from '../kube/memoryApi.testkit.ts';
import type { KubeObject } from '../kube/resource.ts';
import { addFinalizer, hasFinalizer, removeFinalizer } from './finalizer.ts';

const TYPE = { group: 'g.io', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };
const KEY = { namespace: 'n', name: 't' };
const OURS = 'sealgate.io/finalizer';

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
    const held = await addFinalizer(api, TYPE, object, OURS);
    expect(held.metadata.finalizers).toEqual(['other/one', OURS]);
    expect(hasFinalizer(held, OURS)).toBe(true);
    expect(await addFinalizer(api, TYPE, held, OURS)).toBe(held);
    await removeFinalizer(api, TYPE, held, OURS);
    expect(await finalizers()).toEqual(['other/one']);
    await removeFinalizer(api, TYPE, object, OURS);
    expect(api.calls.filter(({ verb }) => verb === 'patch')).toHaveLength(2);
  });

  test('what another adds meanwhile is a Conflict and is not lost', async () => {
    await api.mergePatch(TYPE, KEY, { metadata: { finalizers: ['other/one', 'other/two'] } });
    await expect(addFinalizer(api, TYPE, object, OURS)).rejects.toMatchObject({ code: 'Conflict' });
    expect(await finalizers()).toEqual(['other/one', 'other/two']);
  });

  test('an object that is gone needs no removal', async () => {
    const held = await addFinalizer(api, TYPE, object, OURS);
    await api.delete(TYPE, KEY);
    await removeFinalizer(api, TYPE, held, OURS);
  });
});
