import { describe, expect, test } from 'vitest';
import { CHECK_VALUE, checkValueOf, keyOf, STALE_MS, setUpCache, TTL_MS } from './cache.testkit.ts';
import { settle } from './fakeClock.testkit.ts';

describe('time to live', () => {
  test('one fetch serves until the key is refreshed ahead of its end, without anyone waiting', async () => {
    const { clock, kms, events, get } = setUpCache();
    expect(await get()).toMatchObject({ writable: true, freshForMs: TTL_MS * 0.8, usableForMs: TTL_MS });
    await clock.advance(TTL_MS * 0.8 - 1);
    await get();
    expect(kms.fetches).toBe(1);
    await clock.advance(1);
    kms.delayMs = 500;
    expect((await get()).usableForMs).toBe(TTL_MS * 0.2);
    await clock.advance(500);
    expect(kms.fetches).toBe(2);
    expect((await get()).usableForMs).toBe(TTL_MS - 500);
    expect(events).toEqual(['miss', 'hit', 'hit', 'hit']);
  });

  test.each([
    [0, 0.7],
    [0.5, 0.8],
    [1, 0.9],
  ])('jitter %d refreshes after %d of it', async (jitter, part) => {
    const { clock, get } = setUpCache();
    clock.jitter = jitter;
    expect((await get()).freshForMs).toBeCloseTo(TTL_MS * part);
  });

  test('an idle key is not refreshed, and asked for at its next use', async () => {
    const { clock, kms, get } = setUpCache();
    await get();
    await clock.advance(10 * TTL_MS);
    expect(kms.fetches).toBe(1);
    await get();
    expect(kms.fetches).toBe(2);
  });

  test('of zero asks on every call, and lends nothing to workers', async () => {
    const { kms, get } = setUpCache({ ttlMs: 0 });
    for (let call = 1; call <= 3; call += 1) {
      expect(await get()).toMatchObject({ freshForMs: 0, usableForMs: 0 });
      expect(kms.fetches).toBe(call);
    }
  });

  test('of zero never answers with what was asked before the call', async () => {
    const { clock, kms, get, code } = setUpCache({ ttlMs: 0 });
    kms.delayMs = 100;
    const first = get();
    await clock.advance(50);
    const later = [code(), code()];
    await clock.advance(50);
    await first;
    kms.answer = 'AccessDenied';
    await clock.advance(100);
    expect(await Promise.all(later)).toEqual(['AccessDenied', 'AccessDenied']);
    expect(kms.fetches).toBe(2);
  });
});

test('a hundred calls at once cost one fetch', async () => {
  const { clock, kms, get } = setUpCache();
  kms.delayMs = 100;
  const calls = Array.from({ length: 100 }, async () => await get());
  await clock.advance(100);
  await Promise.all(calls);
  expect(kms.fetches).toBe(1);
});

describe('a refusal', () => {
  test.each(['AccessDenied', 'NotFound', 'InvalidState', 'Refused'] as const)(
    '%s evicts the key at once, however new it is to the stale limit',
    async (refusal) => {
      const { clock, kms, events, get, code, cache } = setUpCache();
      await get();
      kms.answer = refusal;
      await clock.advance(TTL_MS * 0.8);
      await get();
      await settle();
      expect(events).toContain('evict k');
      expect(cache.summary.keys).toBe(0);
      expect(await code()).toBe(refusal);
    },
  );

  test('is remembered for ten seconds', async () => {
    const { clock, kms, events, code } = setUpCache();
    kms.answer = 'NotFound';
    expect(await code()).toBe('NotFound');
    await clock.advance(9_999);
    expect(await code()).toBe('NotFound');
    expect(kms.fetches).toBe(1);
    expect(events.at(-1)).toBe('negative');
    kms.answer = keyOf(1);
    await clock.advance(1);
    expect(await code()).toBe('served');
  });

  test('is not remembered longer than a key would be, and told apart when it is repeated', async () => {
    const { clock, kms, events, code } = setUpCache({ ttlMs: 2000 });
    kms.answer = 'AccessDenied';
    await code();
    await clock.advance(2000);
    await code();
    expect(kms.fetches).toBe(2);
    expect(events.filter((event) => event.endsWith('AccessDenied k'))).toEqual([
      'AccessDenied k',
      'again AccessDenied k',
    ]);
  });
});

describe('other key bytes', () => {
  test('are never used, with an alarm', async () => {
    const { kms, events, code } = setUpCache();
    kms.answer = keyOf(2);
    expect(await code()).toBe('KeyMismatch');
    expect(events).toContain('KeyMismatch k');
  });

  test('evict the right key that was there before', async () => {
    const { clock, kms, events, get, code } = setUpCache();
    await get();
    kms.answer = keyOf(2);
    await clock.advance(TTL_MS);
    expect(await code()).toBe('KeyMismatch');
    expect(events).toContain('evict k');
  });

  test('expected by a wrong reference do not spoil the right one', async () => {
    const { kms, get, cache } = setUpCache();
    await get();
    await expect(cache.get('k', checkValueOf(2))).rejects.toMatchObject({ code: 'KeyMismatch' });
    await get();
    expect(kms.fetches).toBe(2);
  });
});

test('a change of state reaches the workers at once', async () => {
  const { clock, kms, events, get, cache } = setUpCache();
  await get();
  kms.answer = keyOf(1, { writable: false, compromised: true });
  await clock.advance(TTL_MS);
  expect(await get()).toMatchObject({ writable: false });
  await clock.advance(TTL_MS);
  await get();
  expect(events.filter((event) => event === 'evict k')).toHaveLength(1);
  expect(events.filter((event) => event === 'compromised k')).toHaveLength(1);
  expect(cache.summary).toMatchObject({ keys: 1, compromised: 1 });
});

describe('sweeping', () => {
  test('forgets an idle key when it could not even serve stale, and tells the workers', async () => {
    const { clock, events, cache, get } = setUpCache();
    await get();
    await clock.advance(STALE_MS - 1);
    cache.sweep();
    expect(cache.summary.keys).toBe(1);
    await clock.advance(1);
    cache.sweep();
    expect(cache.summary.keys).toBe(0);
    expect(events.at(-1)).toBe('evict k');
  });

  test('leaves keys inside their time to live, refusals that are remembered, and what is being fetched', async () => {
    const { clock, kms, cache, get, code } = setUpCache({ staleLimitMs: 0 });
    await get();
    cache.sweep();
    await get();
    expect(kms.fetches).toBe(1);
    kms.answer = 'NotFound';
    await clock.advance(TTL_MS);
    expect(await code()).toBe('NotFound');
    cache.sweep();
    expect(await code()).toBe('NotFound');
    expect(kms.fetches).toBe(2);
    kms.answer = keyOf(1);
    kms.delayMs = 100;
    await clock.advance(10_000);
    const call = get();
    cache.sweep();
    await clock.advance(100);
    expect((await call).usableForMs).toBeGreaterThan(0);
  });
});

test('a key that was just made is in the cache', async () => {
  const { kms, cache, get } = setUpCache();
  expect(cache.put('k', keyOf(1))).toBe(CHECK_VALUE);
  await get();
  expect(kms.fetches).toBe(0);
});

describe('flush', () => {
  test('forgets keys and refusals', async () => {
    const { kms, events, cache, get, code } = setUpCache();
    await get();
    cache.flush();
    expect(cache.summary.keys).toBe(0);
    expect(events.at(-1)).toBe('evict all');
    kms.answer = 'NotFound';
    expect(await code()).toBe('NotFound');
    kms.answer = keyOf(1);
    cache.flush();
    expect(await code()).toBe('served');
  });

  test('does not keep what was being fetched, nor lend it', async () => {
    const { clock, kms, cache, get } = setUpCache();
    kms.delayMs = 100;
    const call = get();
    await clock.advance(50);
    cache.flush();
    await clock.advance(50);
    expect((await call).usableForMs).toBe(0);
    expect(cache.summary.keys).toBe(0);
  });
});

describe('new settings', () => {
  const policy = { ttlMs: TTL_MS, staleLimitMs: STALE_MS };

  test('make every key be asked for again, and let it serve stale until then', async () => {
    const { kms, cache, get, code } = setUpCache();
    await get();
    cache.expire(policy);
    kms.answer = 'Unavailable';
    expect(await code()).toBe('served');
    expect(kms.fetches).toBe(2);
    kms.answer = 'AccessDenied';
    cache.expire(policy);
    expect(await code()).toBe('AccessDenied');
  });

  test('hold for what was being fetched under the old ones', async () => {
    const { clock, kms, cache, get } = setUpCache();
    kms.delayMs = 100;
    const call = get();
    await clock.advance(50);
    cache.expire(policy);
    await clock.advance(50);
    expect((await call).usableForMs).toBe(0);
    const again = get();
    await clock.advance(100);
    await again;
    expect(kms.fetches).toBe(2);
  });

  test('end refusals that were remembered', async () => {
    const { kms, cache, code } = setUpCache();
    kms.answer = 'AccessDenied';
    await code();
    kms.answer = keyOf(1);
    cache.expire(policy);
    expect(await code()).toBe('served');
  });
});

test('at most 10,000 keys are held; the one used longest ago goes first', async () => {
  const { kms, events, cache } = setUpCache();
  for (let index = 0; index < 10_000; index += 1) cache.put(`key-${index}`, keyOf(1));
  await cache.get('key-0', CHECK_VALUE);
  cache.put('one more', keyOf(1));
  expect(cache.summary.keys).toBe(10_000);
  expect(events.at(-1)).toBe('evict key-1');
  await cache.get('key-0', CHECK_VALUE);
  expect(kms.fetches).toBe(0);
});

test('the oldest confirmation is told', async () => {
  const { clock, cache } = setUpCache();
  cache.put('a', keyOf(1));
  await clock.advance(5000);
  cache.put('b', keyOf(2));
  expect(cache.summary.oldestMs).toBe(5000);
});
