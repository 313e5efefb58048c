import { describe, expect, test } from 'vitest';
import { type Condition, condition, conditionsEqual, conditionsOf, setCondition } from './conditions.ts';

const T1 = Date.UTC(2030, 0, 1, 0, 0, 0, 123);
const T2 = T1 + 60_000;
const ready = {
  type: 'Ready',
  status: 'False',
  reason: 'Pending',
  message: 'm',
  observedGeneration: 1,
} as const;

describe('conditions', () => {
  test('a new one comes last, with the time in whole seconds', () => {
    const list = setCondition(setCondition([], ready, T1), { ...ready, type: 'KeyReady' }, T1);
    expect(list.map(({ type }) => type)).toEqual(['Ready', 'KeyReady']);
    expect(list[0]).toEqual({ ...ready, lastTransitionTime: '2030-01-01T00:00:00Z' });
  });

  test('the time moves with the status alone, and the place stays', () => {
    const before = setCondition(setCondition([], ready, T1), { ...ready, type: 'KeyReady' }, T1);
    const same = setCondition(before, { ...ready, reason: 'Other', message: 'n', observedGeneration: 2 }, T2);
    expect(same[0]).toEqual({
      type: 'Ready',
      status: 'False',
      reason: 'Other',
      message: 'n',
      observedGeneration: 2,
      lastTransitionTime: '2030-01-01T00:00:00Z',
    });
    const changed = setCondition(same, { ...ready, status: 'True' }, T2);
    expect(changed[0]?.lastTransitionTime).toBe('2030-01-01T00:01:00Z');
    expect(changed.map(({ type }) => type)).toEqual(['Ready', 'KeyReady']);
  });

  test.each<[string, Partial<Condition>, boolean]>([
    ['nothing', {}, true],
    ['the status', { status: 'True' }, false],
    ['the reason', { reason: 'Other' }, false],
    ['the message', { message: 'n' }, false],
    ['the generation', { observedGeneration: 2 }, false],
    ['the time', { lastTransitionTime: '2031-01-01T00:00:00Z' }, false],
    ['the type', { type: 'Other' }, false],
  ])('with %s changed they are equal: %s', (_what, change, equal) => {
    const list = setCondition(setCondition([], { ...ready, type: 'KeyReady' }, T1), ready, T1);
    const [first, second] = list;
    const other = [{ ...second, ...change }, { ...first }] as Condition[];
    expect(conditionsEqual(list, other)).toBe(equal);
    expect(conditionsEqual(list, list.slice(1))).toBe(false);
  });

  test('are read from an object, and are none where none can be read', () => {
    const object = { apiVersion: 'v1', kind: 'X', metadata: { name: 'x' } };
    const conditions = setCondition([], ready, T1);
    expect(condition(conditionsOf({ ...object, status: { conditions } }), 'Ready')).toEqual(conditions[0]);
    expect(conditionsOf(object)).toEqual([]);
    expect(conditionsOf({ ...object, status: { conditions: [{ type: 'Ready' }] } })).toEqual([]);
  });
});
