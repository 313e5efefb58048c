import { describe, expect, test } from 'vitest';
import { ALL_NAMESPACES, type CacheEvent, ObjectCache } from './cache.ts';
import { CONFIG_MAPS } from './fakeCluster.testkit.ts';
import type { KubeObject } from './resource.ts';

function object(name: string, version: string, more: object = {}, uid = `uid-${name}`): KubeObject {
  const metadata = { namespace: 'a', name, uid, resourceVersion: version, ...more };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata };
}

function observed(cache: ObjectCache): string[] {
  const told: string[] = [];
  cache.subscribe((event: CacheEvent) => {
    const old = event.type === 'updated' ? `${event.old.metadata.resourceVersion}->` : '';
    told.push(`${event.type} ${event.object.metadata.name} ${old}${event.object.metadata.resourceVersion}`);
  });
  return told;
}

describe('a cache', () => {
  test('tells what was added, updated with old and new, and deleted', () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS });
    const told = observed(cache);
    cache.upsert(object('x', '1'));
    cache.upsert(object('x', '2'));
    cache.remove(object('x', '3'));
    cache.remove(object('x', '3'));
    expect(told).toEqual(['added x 1', 'updated x 1->2', 'deleted x 2']);
  });

  test('tells a late subscriber what is there', () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS });
    cache.upsert(object('x', '1'));
    expect(observed(cache)).toEqual(['added x 1']);
  });

  test('the same version again is no event', () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS });
    const told = observed(cache);
    cache.replace(ALL_NAMESPACES, [object('x', '1')]);
    cache.replace(ALL_NAMESPACES, [object('x', '1')]);
    expect(told).toEqual(['added x 1']);
  });

  test('a full list deletes what it lacks, of its own namespace only', () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS, namespaces: ['a', 'b'] });
    cache.replace('a', [object('x', '1'), object('y', '1')]);
    expect(cache.synced).toBe(false);
    cache.replace('b', [object('z', '1', { namespace: 'b' })]);
    expect(cache.synced).toBe(true);
    const told = observed(cache);
    cache.replace('a', [object('y', '2')]);
    expect(told.slice(3)).toEqual(['deleted x 1', 'updated y 1->2']);
    expect(cache.list('b')).toHaveLength(1);
  });

  test('an object made anew under the same name is a deletion and an addition', () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS });
    cache.upsert(object('x', '1'));
    const told = observed(cache);
    cache.replace(ALL_NAMESPACES, [object('x', '7', {}, 'another')]);
    expect(told.slice(1)).toEqual(['deleted x 1', 'added x 7']);
  });

  test('indexes follow every change', () => {
    const cache = new ObjectCache({
      type: CONFIG_MAPS,
      indexes: { label: ({ metadata }) => Object.values(metadata.labels ?? {}) },
    });
    const found = (value: string): string[] =>
      cache.byIndex('label', value).map(({ metadata }) => metadata.name);
    cache.upsert(object('x', '1', { labels: { l: 'red' } }));
    cache.upsert(object('y', '1', { labels: { l: 'red' } }));
    expect(found('red')).toEqual(['x', 'y']);
    cache.upsert(object('x', '2', { labels: { l: 'blue' } }));
    expect([found('red'), found('blue')]).toEqual([['y'], ['x']]);
    cache.replace(ALL_NAMESPACES, [object('x', '2', { labels: { l: 'blue' } })]);
    expect([found('red'), found('blue')]).toEqual([[], ['x']]);
    expect(() => cache.byIndex('none', '')).toThrow(RangeError);
  });

  test('objects are frozen to the bottom and have no managedFields', () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS });
    cache.upsert({
      ...object('x', '1', { managedFields: [{}], labels: { l: '1' } }),
      spec: { list: [{ deep: 1 }] },
    });
    const held = cache.get({ namespace: 'a', name: 'x' });
    expect(held?.metadata).not.toHaveProperty('managedFields');
    const spec = held?.['spec'] as { list: { deep: number }[] };
    expect(() => spec.list.push({ deep: 2 })).toThrow(TypeError);
    expect(() => Object.assign(held?.metadata.labels ?? {}, { l: '2' })).toThrow(TypeError);
  });

  test('keeps no copy of an object that an annotation holds', () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS });
    const applied = {
      'kubectl.kubernetes.io/last-applied-configuration': '{"stringData":{"k":"tell-nobody"}}',
    };
    cache.upsert(object('x', '1', { annotations: { ...applied, other: 'stays' } }));
    cache.upsert(object('y', '1', { annotations: applied }));
    expect(JSON.stringify(cache.list())).not.toContain('tell-nobody');
    expect(cache.get({ namespace: 'a', name: 'x' })?.metadata.annotations).toEqual({ other: 'stays' });
  });

  test('who waits for the first list is told when it will not come', async () => {
    const cache = new ObjectCache({ type: CONFIG_MAPS });
    const end = new AbortController();
    const waiting = cache.whenSynced(end.signal);
    end.abort();
    await expect(waiting).rejects.toThrow('ConfigMap: not listed yet');
    await expect(cache.whenSynced(end.signal)).rejects.toThrow('not listed yet');
  });
});
