import { expect, test } from 'vitest';
import { endingTimes } from './endingTimes.ts';

test.each([
  [40_000, { drainMs: 30_000, tellMs: 1_000, closeMs: 9_000 }],
  [9_000, { drainMs: 6_000, tellMs: 1_000, closeMs: 2_000 }],
  [500, { drainMs: 334, tellMs: 55, closeMs: 111 }],
  [600_000, { drainMs: 590_000, tellMs: 1_000, closeMs: 9_000 }],
])('of %i ms most is for the requests, and no part comes on top', (limitMs, parts) => {
  expect(endingTimes(limitMs)).toEqual(parts);
  expect(parts.drainMs + parts.tellMs + parts.closeMs).toBe(limitMs);
});
