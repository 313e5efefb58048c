import { describe, expect, it } from 'vitest';
import { firstDifference, withAppliedHash } from './difference.ts';

const object = (spec: unknown) => ({ apiVersion: 'v1', kind: 'Thing', metadata: { name: 'a' }, spec });

describe('nothing differs', () => {
  it.each([
    ['when the API server has added fields', { a: 1 }, { a: 1, b: 2 }],
    [
      'when it writes an amount in its own form',
      { resources: { limits: { memory: '1024Mi' } } },
      { resources: { limits: { memory: '1Gi' } } },
    ],
    ['when it does not keep an empty map', { resources: { limits: {} } }, { resources: {} }],
    ['when it does not keep an empty list', { tolerations: [] }, {}],
    [
      'when others have put in a container of theirs',
      { containers: [{ name: 'ours', image: 'a' }] },
      {
        containers: [
          { name: 'theirs' },
          { name: 'ours', image: 'a', terminationMessagePath: '/dev/termination-log' },
        ],
      },
    ],
  ])('%s', (_, declared, live) => {
    expect(firstDifference(object(declared), object(live))).toBeNull();
  });
});

describe('a difference', () => {
  it.each([
    ['a value', { a: { b: 1 } }, { a: { b: 2 } }, 'spec.a.b'],
    ['a missing field', { a: { b: 1 } }, {}, 'spec.a'],
    ['an item of a list', { args: ['a', 'b'] }, { args: ['a', 'c'] }, 'spec.args[1]'],
    ['one item more', { args: ['a'] }, { args: ['a', 'b'] }, 'spec.args'],
    ['a missing named item', { env: [{ name: 's3' }] }, { env: [{ name: 'x' }] }, 'spec.env[0]'],
    [
      'a port of a Service that is not ours',
      { ports: [{ name: 's3', port: 1 }] },
      { ports: [{ name: 's3', port: 1 }, { name: 'x' }] },
      'spec.ports',
    ],
    ['another amount', { limits: { memory: '2Gi' } }, { limits: { memory: '1Gi' } }, 'spec.limits.memory'],
    ['text that only looks like an equal amount', { a: '1k' }, { a: '1000' }, 'spec.a'],
  ])('in %s is named', (_, declared, live, path) => {
    expect(firstDifference(object(declared), object(live))).toBe(path);
  });

  it('in fields that are no longer declared shows in the hash of what was applied', () => {
    const before = withAppliedHash(object({ a: 1, b: 2 }), 'key');
    expect(firstDifference(withAppliedHash(object({ b: 2, a: 1 }), 'key'), before)).toBeNull();
    expect(firstDifference(withAppliedHash(object({ a: 1 }), 'key'), before)).toBe(
      'metadata.annotations.sealgate.io/applied-hash',
    );
  });
});
