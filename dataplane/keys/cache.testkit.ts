/** A cache with a clock and a KMS that say what the test wants. */
import { createSecretKey } from 'node:crypto';
import { keyCheckValue } from '../crypto/dataKey.ts';
import { KeyCache } from './cache.ts';
import { FakeClock } from './fakeClock.testkit.ts';
import { KmsError, type KmsErrorCode } from './keys.ts';
import type { FetchedKey } from './kmip/keyAnswers.ts';

export const TTL_MS = 300_000;
export const STALE_MS = 3_600_000;

/** A key of 32 equal bytes. */
export function keyOf(fill: number, changes: Partial<FetchedKey> = {}): FetchedKey {
  return { key: createSecretKey(Buffer.alloc(32, fill)), writable: true, compromised: false, ...changes };
}
export const checkValueOf = (fill: number) => keyCheckValue(keyOf(fill).key).toString('hex');
/** Of keyOf(1). */
export const CHECK_VALUE = checkValueOf(1);

/** `get` asks for the key with CHECK_VALUE; `code` tells how that went. */
export function setUpCache(policy: { ttlMs?: number; staleLimitMs?: number } = {}) {
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
