import { beforeEach, describe, expect, test } from 'vitest';
import { KubeError } from '../kube/kubeApi.ts';
import { MemoryApi } from '../kube/memoryApi.testkit.ts';
import type { KubeObject } from '../kube/resource.ts';
import { StatusWriter } from './status.ts';

const TYPE = { group: 'g.io', version: 'v1', plural: 'things', kind: 'Thing', namespaced: true };

let api: MemoryApi;
let writer: StatusWriter;
let cached: KubeObject;

beforeEach(async () => {
  api = new MemoryApi();
  writer = new StatusWriter(api);
  cached = await api.create(TYPE, {
    apiVersion: 'g.io/v1',
    kind: 'Thing',
    metadata: { namespace: 'n', name: 't' },
    status: { a: 1, list: [{ x: 1, y: 2 }] },
  });
  api.calls.length = 0;
});

describe('a status', () => {
  test('is written when it differs, to the version that was read', async () => {
    expect(await writer.write(TYPE, cached, { a: 2 })).toBe(true);
    expect(api.calls).toEqual([
      {
        verb: 'apply',
        path: '/apis/g.io/v1/namespaces/n/things/t/status',
        body: {
          apiVersion: 'g.io/v1',
          kind: 'Thing',
          metadata: { name: 't', namespace: 'n', resourceVersion: cached.metadata.resourceVersion },
          status: { a: 2 },
        },
      },
    ]);
  });

  test('is not written when it means the same, whatever the order of fields or the undefined ones', async () => {
    expect(await writer.write(TYPE, cached, { list: [{ y: 2, x: 1 }], b: undefined, a: 1 })).toBe(false);
    expect(api.calls).toEqual([]);
  });

  test('is not written twice while the cache is behind', async () => {
    await writer.write(TYPE, cached, { a: 2, list: [] });
    expect(await writer.write(TYPE, cached, { a: 2, list: [] })).toBe(false);
    expect(writer.newest(cached)['status']).toEqual({ a: 2, list: [] });
  });

  test('is written when the cache, still behind, shows what is wanted again', async () => {
    await writer.write(TYPE, cached, { a: 2, list: [] });
    expect(await writer.write(TYPE, cached, { a: 1, list: [{ x: 1, y: 2 }] })).toBe(true);
  });

  test('is compared with the cache again once that has caught up', async () => {
    await writer.write(TYPE, cached, { a: 2, list: [] });
    const meddled = await api.mergePatch(TYPE, { namespace: 'n', name: 't' }, { status: { a: 9 } });
    expect(await writer.write(TYPE, meddled, { a: 2, list: [] })).toBe(true);
  });

  test('of an object that is gone is nobody’s concern; other errors are told', async () => {
    await api.delete(TYPE, { namespace: 'n', name: 't' });
    expect(await writer.write(TYPE, cached, { a: 2 })).toBe(false);
    api.before = () => Promise.reject(new KubeError('Conflict', 'apply: Conflict'));
    await expect(writer.write(TYPE, cached, { a: 2 })).rejects.toThrow('Conflict');
  });
});
