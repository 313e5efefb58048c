import { describe, expect, test } from 'vitest';
import { CHECK_VALUE, keyOf, STALE_MS, setUpCache, TTL_MS } from './cache.testkit.ts';
import { KeyCache } from './cache.ts';
import { FakeClock, settle } from './fakeClock.testkit.ts';

describe('an outage', () => {
  test('inside the stale limit is bridged at once, and the KMS is tried again every one to five seconds', async () => {
    const { clock, kms, events, get } = setUpCache();
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
    const { clock, kms, get } = setUpCache();
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
    const { clock, kms, get, code } = setUpCache();
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
    const { clock, kms, get } = setUpCache();
    await get();
    kms.answer = 'Unavailable';
    await clock.advance(STALE_MS - 400);
    expect((await get()).usableForMs).toBe(400);
  });

  test.each([
    ['a stale limit of zero', { staleLimitMs: 0 }],
    ['one below the time to live', { staleLimitMs: TTL_MS / 2 }],
  ])('%s fails closed once the time to live is over', async (_what, policy) => {
    const { clock, kms, get, code } = setUpCache(policy);
    await get();
    kms.answer = 'Unavailable';
    await clock.advance(TTL_MS - 1);
    expect(await code()).toBe('served');
    await clock.advance(1);
    expect(await code()).toBe('Unavailable');
  });

  test('without a key is Unavailable, and not remembered', async () => {
    const { kms, code } = setUpCache();
    kms.answer = 'Unavailable';
    expect(await code()).toBe('Unavailable');
    kms.answer = keyOf(1);
    expect(await code()).toBe('served');
  });

  test('of our own client counts as one', async () => {
    const { kms, cache } = setUpCache();
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
    const { clock, kms, get } = setUpCache();
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
