import { expect, test } from 'vitest';
import { endsWithin } from './limit.ts';

test('work that ends is within the limit, work that does not is not', async () => {
  const limit = new AbortController();
  expect(await endsWithin(Promise.resolve(), limit.signal)).toBe(true);
  const waiting = endsWithin(new Promise(() => {}), limit.signal);
  limit.abort();
  expect(await waiting).toBe(false);
});

test('work that fails is not hidden by the limit', async () => {
  const limit = new AbortController();
  await expect(endsWithin(Promise.reject(new Error('bug')), limit.signal)).rejects.toThrow('bug');
});
