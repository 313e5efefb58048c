import { expect, test } from 'vitest';
import { type AllowedNamespaces, isNamespaceAllowed } from './allowedNamespaces.ts';

const LABELS = { team: 'b', tier: 'gold', 'kubernetes.io/metadata.name': 'team-b' };
const selector = (selector: AllowedNamespaces['selector']): AllowedNamespaces => ({
  from: 'Selector',
  selector,
});
const expression = (key: string, operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist', values?: string[]) =>
  selector({ matchExpressions: [{ key, operator, values }] });

test.each<[AllowedNamespaces, boolean]>([
  [{ from: 'Same' }, false],
  [{ from: 'All' }, true],
  [selector(undefined), false],
  [selector({}), true],
  [selector({ matchLabels: { team: 'b' } }), true],
  [selector({ matchLabels: { team: 'b', tier: 'silver' } }), false],
  [selector({ matchLabels: { 'kubernetes.io/metadata.name': 'team-b' } }), true],
  [selector({ matchLabels: { constructor: 'b' } }), false],
  [expression('team', 'In', ['a', 'b']), true],
  [expression('team', 'In', ['a']), false],
  [expression('missing', 'In', ['a']), false],
  [expression('team', 'NotIn', ['a']), true],
  [expression('team', 'NotIn', ['b']), false],
  [expression('missing', 'NotIn', ['b']), true],
  [expression('team', 'Exists'), true],
  [expression('missing', 'Exists'), false],
  [expression('constructor', 'Exists'), false],
  [expression('team', 'DoesNotExist'), false],
  [expression('missing', 'DoesNotExist'), true],
  [
    selector({
      matchLabels: { team: 'b' },
      matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['gold'] }],
    }),
    false,
  ],
])('%j permits another namespace: %s', (allowed, expected) => {
  expect(isNamespaceAllowed(allowed, 'team-a', { name: 'team-b', labels: LABELS })).toBe(expected);
});

test.each<AllowedNamespaces>([{ from: 'Same' }, selector({ matchLabels: { team: 'x' } })])(
  'its own namespace is always permitted (%j)',
  (allowed) => {
    expect(isNamespaceAllowed(allowed, 'team-a', { name: 'team-a', labels: undefined })).toBe(true);
  },
);

test('a namespace that is not known yet matches no selector, not even one that selects everything', () => {
  expect(isNamespaceAllowed(selector({}), 'team-a', { name: 'team-b', labels: undefined })).toBe(false);
});
