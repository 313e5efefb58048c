/**
 * The bucket keys of one KMS connection, as the key-holder thread keeps them.
 *
 * Owns when the KMS is asked, how long an answer counts and when a key is forgotten. Entries are per KMS identifier and
 * expected check value, so that a wrong reference cannot spoil the right one. It knows no KMIP and no threads.
 */
import type { KeyObject } from 'node:crypto';
import { keyCheckValue } from '../crypto/dataKey.ts';
import type { Clock } from './clock.ts';
import { KmsError } from './keys.ts';
import type { FetchedKey } from './kmip/keyAnswers.ts';
import type { KmsConnectionSettings } from './settings.ts';

/** A lasting failure (denied, gone, wrong state) is answered from memory for at most this long. */
const NEGATIVE_MS = 10_000;
/** How long a request waits for the KMS when a key inside the stale limit could serve it. */
const PATIENCE_MS = 1000;
/** How long a worker may use a stale key before it asks again. */
const STALE_GRANT_MS = 1000;
const RETRY_MIN_MS = 1000;
const RETRY_SPREAD_MS = 4000;
/** The part of the time to live after which a key in use is fetched again ahead of its end, and its jitter. */
const REFRESH_AFTER = 0.7;
const REFRESH_JITTER = 0.2;
const ENTRY_LIMIT = 10_000;

/** A key lent to a worker. Times are durations, because threads do not share a clock. */
export interface KeyGrant {
  readonly key: KeyObject;
  readonly writable: boolean;
  /** After this the worker asks again in the background while it goes on using the key. */
  readonly freshForMs: number;
  /** After this the worker must ask before it uses the key. */
  readonly usableForMs: number;
}

export type CacheResult = 'hit' | 'stale' | 'miss' | 'negative';

export interface CacheObserver {
  asked(result: CacheResult): void;
  /** Workers must drop this key; null = all keys of the connection. */
  evicted(kmsId: string | null): void;
  /** The KMS refuses the key, or gave other bytes than the bucket was made with (KeyMismatch). */
  refused(kmsId: string, error: KmsError, again: boolean): void;
  /** The KMS has marked a key in use as compromised. */
  compromised(kmsId: string): void;
}

interface HeldKey extends FetchedKey {
  /** When the fetch was begun, on the clock's scale: what the KMS said is at least as new. */
  readonly fetchedMs: number;
  readonly refreshMs: number;
  /** When it may no longer serve without asking, unless the KMS cannot be reached. */
  readonly expiresMs: number;
}

type Outcome = { readonly held: HeldKey } | { readonly error: KmsError };

interface Entry {
  readonly kmsId: string;
  readonly checkValue: string;
  held: HeldKey | null;
  failure: { readonly error: KmsError; readonly untilMs: number } | null;
  /** Until then an outage is believed without asking, if a stale key can serve. */
  retryMs: number;
  flight: Promise<Outcome> | null;
  nextFlight: Promise<Outcome> | null;
  /** Flushed or pushed out while a fetch was under way: its key may serve one call only. */
  dropped: boolean;
}

export class KeyCache {
  #clock: Clock;
  #observer: CacheObserver;
  #fetchKey: (kmsId: string) => Promise<FetchedKey>;
  #policy: KmsConnectionSettings['cache'];
  /** In order of last use, for the entry limit. */
  #entries = new Map<string, Entry>();
  /** Counts the settings taken over: what was asked under older ones must be asked again. */
  #generation = 0;

  constructor(
    policy: KmsConnectionSettings['cache'],
    deps: {
      readonly clock: Clock;
      readonly observer: CacheObserver;
      readonly fetchKey: (kmsId: string) => Promise<FetchedKey>;
    },
  ) {
    this.#policy = policy;
    this.#clock = deps.clock;
    this.#observer = deps.observer;
    this.#fetchKey = deps.fetchKey;
  }

  /** The keys held now, and the age of the one whose last fetch is longest ago. */
  get summary(): { readonly keys: number; readonly compromised: number; readonly oldestMs: number } {
    const held = [...this.#entries.values()].flatMap((entry) => (entry.held === null ? [] : [entry.held]));
    return {
      keys: held.length,
      compromised: held.filter((key) => key.compromised).length,
      oldestMs: held.reduce((oldest, key) => Math.max(oldest, this.#clock.now() - key.fetchedMs), 0),
    };
  }

  /** The key with this identifier and check value. Rejects with KmsError. */
  async get(kmsId: string, checkValue: string): Promise<KeyGrant> {
    const entry = this.#entry(kmsId, checkValue);
    const nowMs = this.#clock.now();
    const { ttlMs } = this.#policy;
    if (entry.held !== null && nowMs < entry.held.expiresMs) {
      if (nowMs >= entry.held.refreshMs && nowMs >= entry.retryMs) void this.#shared(entry);
      this.#observer.asked('hit');
      return this.#grant(entry, entry.held);
    }
    if (entry.failure !== null && nowMs < entry.failure.untilMs) {
      this.#observer.asked('negative');
      throw entry.failure.error;
    }
    if (nowMs < entry.retryMs) {
      const stale = this.#staleKey(entry);
      if (stale !== null) return this.#staleGrant(stale);
    }
    const flight = ttlMs === 0 ? this.#own(entry) : this.#shared(entry);
    const outcome = this.#staleKey(entry) === null ? await flight : await this.#withPatience(flight);
    if (outcome !== null && 'held' in outcome) {
      this.#observer.asked('miss');
      return this.#grant(entry, outcome.held);
    }
    if (outcome === null || outcome.error.code === 'Unavailable') {
      const stale = this.#staleKey(entry);
      if (stale !== null) return this.#staleGrant(stale);
    }
    this.#observer.asked('miss');
    throw outcome?.error ?? entry.failure?.error ?? new KmsError('Unavailable', 'the KMS does not answer');
  }

  /** Takes in a key that was just made, and returns its check value (16 hex characters). */
  put(kmsId: string, fetched: FetchedKey): string {
    const checkValue = keyCheckValue(fetched.key).toString('hex');
    this.#hold(this.#entry(kmsId, checkValue), fetched, this.#clock.now(), this.#generation);
    return checkValue;
  }

  /** Takes over new settings: every key is asked for again at its next use, and may serve stale until then. */
  expire(policy: KmsConnectionSettings['cache']): void {
    this.#policy = policy;
    this.#generation += 1;
    for (const entry of this.#entries.values()) {
      entry.failure = null;
      entry.retryMs = 0;
      if (entry.held !== null) entry.held = { ...entry.held, expiresMs: this.#clock.now() };
    }
    this.#observer.evicted(null);
  }

  /** Forgets keys that could not even serve stale any more; to be called now and then, since idle keys stay otherwise. */
  sweep(): void {
    const nowMs = this.#clock.now();
    for (const [id, entry] of this.#entries) {
      const { held, failure, flight } = entry;
      if (flight !== null || (failure !== null && nowMs < failure.untilMs)) continue;
      if (held !== null && nowMs < Math.max(held.expiresMs, this.#staleUntil(held))) continue;
      this.#entries.delete(id);
      drop(entry);
      if (held !== null) this.#observer.evicted(entry.kmsId);
    }
  }

  /** Forgets one key, failures too: what the KMS says about it has changed. */
  forget(kmsId: string): void {
    for (const [id, entry] of this.#entries) {
      if (entry.kmsId !== kmsId) continue;
      this.#entries.delete(id);
      drop(entry);
    }
    this.#observer.evicted(kmsId);
  }

  /** Forgets everything, failures too. */
  flush(): void {
    for (const entry of this.#entries.values()) drop(entry);
    this.#entries.clear();
    this.#observer.evicted(null);
  }

  #entry(kmsId: string, checkValue: string): Entry {
    const id = `${checkValue}/${kmsId}`;
    const found = this.#entries.get(id);
    const entry = found ?? newEntry(kmsId, checkValue);
    if (found !== undefined) this.#entries.delete(id);
    this.#entries.set(id, entry);
    if (this.#entries.size > ENTRY_LIMIT) {
      const [oldest] = this.#entries;
      if (oldest !== undefined) {
        this.#entries.delete(oldest[0]);
        drop(oldest[1]);
        this.#observer.evicted(oldest[1].kmsId);
      }
    }
    return entry;
  }

  /** The held key, if it may serve while the KMS cannot be reached. */
  #staleKey(entry: Entry): HeldKey | null {
    const { held } = entry;
    return held !== null && this.#staleUntil(held) > this.#clock.now() ? held : null;
  }

  #staleUntil(held: HeldKey): number {
    return held.fetchedMs + this.#policy.staleLimitMs;
  }

  #staleGrant(held: HeldKey): KeyGrant {
    this.#observer.asked('stale');
    const leftMs = this.#staleUntil(held) - this.#clock.now();
    const usableForMs = this.#policy.ttlMs === 0 ? 0 : Math.min(STALE_GRANT_MS, leftMs);
    return { key: held.key, writable: held.writable, freshForMs: usableForMs, usableForMs };
  }

  #grant(entry: Entry, held: HeldKey): KeyGrant {
    const nowMs = this.#clock.now();
    const usableForMs = entry.dropped ? 0 : Math.max(0, held.expiresMs - nowMs);
    const freshForMs = Math.min(usableForMs, Math.max(held.refreshMs - nowMs, STALE_GRANT_MS));
    return { key: held.key, writable: held.writable, freshForMs, usableForMs };
  }

  /** The outcome, or null when it does not come soon. */
  async #withPatience(flight: Promise<Outcome>): Promise<Outcome | null> {
    let cancel = () => {};
    const impatience = new Promise<null>((resolve) => {
      cancel = this.#clock.schedule(PATIENCE_MS, () => resolve(null));
    });
    try {
      return await Promise.race([flight, impatience]);
    } finally {
      cancel();
    }
  }

  /** One fetch per key at a time; whoever comes while it is under way shares it. */
  async #shared(entry: Entry): Promise<Outcome> {
    entry.flight ??= this.#fetch(entry).finally(() => {
      entry.flight = null;
    });
    return await entry.flight;
  }

  /** A fetch that begins after this call, as a time to live of zero asks; those who wait for the same one share it. */
  async #own(entry: Entry): Promise<Outcome> {
    if (entry.flight === null && entry.nextFlight === null) return await this.#shared(entry);
    entry.nextFlight ??= (entry.flight ?? Promise.resolve()).then(async () => {
      entry.nextFlight = null;
      return await this.#shared(entry);
    });
    return await entry.nextFlight;
  }

  /** Asks the KMS and keeps what it says. Never rejects. */
  async #fetch(entry: Entry): Promise<Outcome> {
    const startedMs = this.#clock.now();
    const generation = this.#generation;
    let fetched: FetchedKey;
    try {
      fetched = await this.#fetchKey(entry.kmsId);
    } catch (error) {
      const failure =
        error instanceof KmsError
          ? error
          : new KmsError('Unavailable', 'unexpected failure of the KMS client', { cause: error });
      if (failure.code !== 'Unavailable') return this.#fail(entry, failure);
      entry.retryMs = this.#clock.now() + RETRY_MIN_MS + this.#clock.random() * RETRY_SPREAD_MS;
      return { error: failure };
    }
    if (keyCheckValue(fetched.key).toString('hex') !== entry.checkValue) {
      return this.#fail(
        entry,
        new KmsError('KeyMismatch', `the KMS gave other bytes for key ${entry.kmsId} than it was made with`),
      );
    }
    return { held: this.#hold(entry, fetched, startedMs, generation) };
  }

  #hold(entry: Entry, fetched: FetchedKey, fetchedMs: number, generation: number): HeldKey {
    const before = entry.held;
    const lifeMs = generation === this.#generation ? this.#policy.ttlMs : 0;
    const part = REFRESH_AFTER + REFRESH_JITTER * this.#clock.random();
    const held: HeldKey = {
      ...fetched,
      fetchedMs,
      refreshMs: fetchedMs + lifeMs * part,
      expiresMs: fetchedMs + lifeMs,
    };
    entry.failure = null;
    entry.retryMs = 0;
    if (!entry.dropped) entry.held = held;
    if (before !== null && before.writable !== held.writable) this.#observer.evicted(entry.kmsId);
    if (held.compromised && before?.compromised !== true) this.#observer.compromised(entry.kmsId);
    return held;
  }

  #fail(entry: Entry, error: KmsError): Outcome {
    this.#observer.refused(entry.kmsId, error, entry.failure?.error.code === error.code);
    entry.held = null;
    // No longer than a positive answer would count.
    entry.failure = { error, untilMs: this.#clock.now() + Math.min(NEGATIVE_MS, this.#policy.ttlMs) };
    this.#observer.evicted(entry.kmsId);
    return { error };
  }
}

function newEntry(kmsId: string, checkValue: string): Entry {
  return {
    kmsId,
    checkValue,
    held: null,
    failure: null,
    retryMs: 0,
    flight: null,
    nextFlight: null,
    dropped: false,
  };
}

/** Dropping the reference lets the key's memory be cleared at garbage collection. */
function drop(entry: Entry): void {
  entry.held = null;
  entry.dropped = true;
}
