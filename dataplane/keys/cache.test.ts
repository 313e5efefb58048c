import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { keyCheckValue } from '../crypto/dataKey.ts';
import { KeyCache } from './cache.ts';
import { KmsError, type KmsErrorCode } from './keys.ts';
import type { FetchedKey } from './kmip/client.ts';
import { FakeClock, settle } from './testing/fakeClock.ts';

const TTL_MS = 300_000;
const STALE_MS = 3_600_000;

function keyOf(fill: number, changes: Partial<FetchedKey> = {}): FetchedKey {
  return { key: createSecretKey(Buffer.alloc(32, fill)), writable: true, compromised: false, ...changes };
}
const checkValueOf = (fill: number) => keyCheckValue(keyOf(fill).key).toString('hex');
const CHECK_VALUE = checkValueOf(1);

function setUp(policy: { ttlMs?: number; staleLimitMs?: number } = {}) {
  const clock = new FakeClock();
  const kms = {
    /** What the KMS says now. */
    answer: keyOf(1) as FetchedKey | KmsErrorCode,
    /** How long it takes to say it. */
    delayMs: 0,
    fetches: 0,
  };
  const events: string[] = [];
  const cache = new KeyCache(
    { ttlMs: TTL_MS, staleLimitMs: STALE_MS, ...policy },
    {
      clock,
      fetchKey: async () => {
        kms.fetches += 1;
        if (kms.delayMs > 0) await new Promise<void>((resolve) => clock.schedule(kms.delayMs, resolve));
        if (typeof kms.answer === 'string') throw new KmsError(kms.answer, 'fake');
        return kms.answer;
      },
      observer: {
        asked: (result) => events.push(result),
        evicted: (kmsId) => events.push(`evict ${kmsId ?? 'all'}`),
        refused: (kmsId, error, again) => events.push(`${again ? 'again ' : ''}${error.code} ${kmsId}`),
        compromised: (kmsId) => events.push(`compromised ${kmsId}`),
      },
    },
  );
  const get = async () => await cache.get('k', CHECK_VALUE);
  const code = async () => {
    try {
      await get();
    } catch (error) {
      if (error instanceof KmsError) return error.code;
      throw error;
    }
    return 'served';
  };
  return { clock, kms, events, cache, get, code };
}

describe('time to live', () => {
  test('one fetch serves until the key is refreshed ahead of its end, without anyone waiting', async () => {
    const { clock, kms, events, get } = setUp();
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
    const { clock, get } = setUp();
    clock.jitter = jitter;
    expect((await get()).freshForMs).toBeCloseTo(TTL_MS * part);
  });

  test('an idle key is not refreshed, and asked for at its next use', async () => {
    const { clock, kms, get } = setUp();
    await get();
    await clock.advance(10 * TTL_MS);
    expect(kms.fetches).toBe(1);
    await get();
    expect(kms.fetches).toBe(2);
  });

  test('of zero asks on every call, and lends nothing to workers', async () => {
    const { kms, get } = setUp({ ttlMs: 0 });
    for (let call = 1; call <= 3; call += 1) {
      expect(await get()).toMatchObject({ freshForMs: 0, usableForMs: 0 });
      expect(kms.fetches).toBe(call);
    }
  });

  test('of zero never answers with what was asked before the call', async () => {
    const { clock, kms, get, code } = setUp({ ttlMs: 0 });
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
  const { clock, kms, get } = setUp();
  kms.delayMs = 100;
  const calls = Array.from({ length: 100 }, async () => await get());
  await clock.advance(100);
  await Promise.all(calls);
  expect(kms.fetches).toBe(1);
});

describe('an outage', () => {
  test('inside the stale limit is bridged at once, and the KMS is tried again every one to five seconds', async () => {
    const { clock, kms, events, get } = setUp();
    await get();
    kms.answer = 'Unavailable';
    await clock.advance(TTL_MS);
    for (let call = 0; call < 50; call += 1) expect((await get()).usableForMs).toBe(1000);
    expect(kms.fetches).toBe(2);
    await clock.advance(2999);
    await get();
    expect(kms.fetches).toBe(2);
    await clock.advance(1);
    await get();
    expect(kms.fetches).toBe(3);
    expect(new Set(events)).toEqual(new Set(['miss', 'stale']));
  });

  test('that hangs delays a call by a second, and others not even that', async () => {
    const { clock, kms, get } = setUp();
    await get();
    await clock.advance(TTL_MS);
    kms.delayMs = 10_000;
    kms.answer = 'Unavailable';
    const startedMs = clock.now();
    const served = get();
    await clock.advance(1000);
    await served;
    expect(clock.now() - startedMs).toBe(1000);
    await clock.advance(9000);
    await get();
    expect(kms.fetches).toBe(2);
  });

  test('beyond the stale limit is Unavailable, and over as soon as the KMS answers', async () => {
    const { clock, kms, get, code } = setUp();
    await get();
    kms.answer = 'Unavailable';
    await clock.advance(STALE_MS - 1);
    expect(await code()).toBe('served');
    await clock.advance(1);
    expect(await code()).toBe('Unavailable');
    kms.answer = keyOf(1);
    expect(await code()).toBe('served');
  });

  test('grants end with the stale limit', async () => {
    const { clock, kms, get } = setUp();
    await get();
    kms.answer = 'Unavailable';
    await clock.advance(STALE_MS - 400);
    expect((await get()).usableForMs).toBe(400);
  });

  test.each([
    ['a stale limit of zero', { staleLimitMs: 0 }],
    ['one below the time to live', { staleLimitMs: TTL_MS / 2 }],
  ])('%s fails closed once the time to live is over', async (_what, policy) => {
    const { clock, kms, get, code } = setUp(policy);
    await get();
    kms.answer = 'Unavailable';
    await clock.advance(TTL_MS - 1);
    expect(await code()).toBe('served');
    await clock.advance(1);
    expect(await code()).toBe('Unavailable');
  });

  test('without a key is Unavailable, and not remembered', async () => {
    const { kms, code } = setUp();
    kms.answer = 'Unavailable';
    expect(await code()).toBe('Unavailable');
    kms.answer = keyOf(1);
    expect(await code()).toBe('served');
  });

  test('of our own client counts as one', async () => {
    const { kms, cache } = setUp();
    kms.answer = 'Unavailable';
    const broken = new KeyCache(
      { ttlMs: TTL_MS, staleLimitMs: STALE_MS },
      {
        clock: new FakeClock(),
        fetchKey: () => Promise.reject(new TypeError('a defect')),
        observer: { asked: () => {}, evicted: () => {}, refused: () => {}, compromised: () => {} },
      },
    );
    await expect(broken.get('k', CHECK_VALUE)).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(cache.get('k', CHECK_VALUE)).rejects.toMatchObject({ code: 'Unavailable' });
  });

  test('while refreshing ahead of time is not asked about again at every call', async () => {
    const { clock, kms, get } = setUp();
    await get();
    kms.answer = 'Unavailable';
    await clock.advance(TTL_MS * 0.9);
    for (let call = 0; call < 20; call += 1) {
      await get();
      await settle();
    }
    expect(kms.fetches).toBe(2);
  });
});

describe('a refusal', () => {
  test.each(['AccessDenied', 'NotFound', 'InvalidState', 'Refused'] as const)(
    '%s evicts the key at once, however new it is to the stale limit',
    async (refusal) => {
      const { clock, kms, events, get, code, cache } = setUp();
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
    const { clock, kms, events, code } = setUp();
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
    const { clock, kms, events, code } = setUp({ ttlMs: 2000 });
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
    const { kms, events, code } = setUp();
    kms.answer = keyOf(2);
    expect(await code()).toBe('KeyMismatch');
    expect(events).toContain('KeyMismatch k');
  });

  test('evict the right key that was there before', async () => {
    const { clock, kms, events, get, code } = setUp();
    await get();
    kms.answer = keyOf(2);
    await clock.advance(TTL_MS);
    expect(await code()).toBe('KeyMismatch');
    expect(events).toContain('evict k');
  });

  test('expected by a wrong reference do not spoil the right one', async () => {
    const { kms, get, cache } = setUp();
    await get();
    await expect(cache.get('k', checkValueOf(2))).rejects.toMatchObject({ code: 'KeyMismatch' });
    await get();
    expect(kms.fetches).toBe(2);
  });
});

test('a change of state reaches the workers at once', async () => {
  const { clock, kms, events, get, cache } = setUp();
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
    const { clock, events, cache, get } = setUp();
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
    const { clock, kms, cache, get, code } = setUp({ staleLimitMs: 0 });
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
  const { kms, cache, get } = setUp();
  expect(cache.put('k', keyOf(1))).toBe(CHECK_VALUE);
  await get();
  expect(kms.fetches).toBe(0);
});

describe('flush', () => {
  test('forgets keys and refusals', async () => {
    const { kms, events, cache, get, code } = setUp();
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
    const { clock, kms, cache, get } = setUp();
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
    const { kms, cache, get, code } = setUp();
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
    const { clock, kms, cache, get } = setUp();
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
    const { kms, cache, code } = setUp();
    kms.answer = 'AccessDenied';
    await code();
    kms.answer = keyOf(1);
    cache.expire(policy);
    expect(await code()).toBe('served');
  });
});

test('at most 10,000 keys are held; the one used longest ago goes first', async () => {
  const { kms, events, cache } = setUp();
  for (let index = 0; index < 10_000; index += 1) cache.put(`key-${index}`, keyOf(1));
  await cache.get('key-0', CHECK_VALUE);
  cache.put('one more', keyOf(1));
  expect(cache.summary.keys).toBe(10_000);
  expect(events.at(-1)).toBe('evict key-1');
  await cache.get('key-0', CHECK_VALUE);
  expect(kms.fetches).toBe(0);
});

test('the oldest confirmation is told', async () => {
  const { clock, cache } = setUp();
  cache.put('a', keyOf(1));
  await clock.advance(5000);
  cache.put('b', keyOf(2));
  expect(cache.summary.oldestMs).toBe(5000);
});
