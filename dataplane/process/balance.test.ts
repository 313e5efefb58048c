import { expect, test } from 'vitest';
import { createBalanceCounters, joinBalance } from './balance.ts';

function overloaded(connections: readonly number[], index: number): boolean {
  const counters = createBalanceCounters(connections.length);
  for (const [worker, count] of connections.entries()) {
    const balance = joinBalance(counters, worker);
    for (let i = 0; i < count + 1; i++) balance.opened();
    balance.closed();
  }
  return joinBalance(counters, index).overloaded();
}

test.each([
  { connections: [0, 0], index: 0, expected: false },
  { connections: [1, 0], index: 0, expected: false },
  { connections: [2, 0], index: 0, expected: true },
  { connections: [2, 0], index: 1, expected: false },
  { connections: [3, 1], index: 0, expected: false },
  { connections: [4, 1], index: 0, expected: true },
  { connections: [8], index: 0, expected: false },
  { connections: [7, 4, 4, 4], index: 0, expected: false },
  { connections: [8, 4, 4, 4], index: 0, expected: true },
])(
  'a worker of $connections at place $index is overloaded: $expected',
  ({ connections, index, expected }) => {
    expect(overloaded(connections, index)).toBe(expected);
  },
);
