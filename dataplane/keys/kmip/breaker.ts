/**
 * The circuit breaker of one endpoint: whether it is up, how far it is trusted, and when it is looked after.
 *
 * Down: requests do not go there until a probe gets an answer (every 1 to 5 seconds, jittered). Up, but not steady: it
 * came back a moment ago, or a kept connection to it broke; it serves where nothing better does. An endpoint that
 * flaps, or that answers probes and nothing else, is trusted less with every fall, so it cannot stall request after request.
 */
import type { Clock } from '../clock.ts';

const BACKOFF_MIN_MS = 1000;
const BACKOFF_MAX_MS = 5000;
/** How long it must stay up after its first fall before it is steady again; doubled with each further fall. */
const PROBATION_MS = 5000;
const PROBATION_MAX_MS = 5 * 60_000;
/** After so long without a fall the earlier ones are forgotten. */
const CALM_MS = 10 * 60_000;
/** An endpoint that nobody asked for this long is probed: a standby's outage must be known before it is needed. */
const HEARTBEAT_MS = 30_000;

export type BreakerState = 'Unknown' | 'Up' | 'Down';

export class Breaker {
  #clock: Clock;
  #probe: () => Promise<void>;
  #changed: (up: boolean, why: string) => void;
  #state: BreakerState = 'Unknown';
  #lastError: string | null = null;
  #suspect = false;
  /** Whether the doubt cost a request its whole time limit. */
  #slowDoubt = false;
  #falls = 0;
  #failedProbes = 0;
  #lastFallMs = 0;
  #steadyAtMs = 0;
  #heardMs = 0;
  #cancelProbe: (() => void) | null = null;
  #closed = false;

  /** `probe` finds out whether the endpoint answers, tells this breaker and never rejects; `changed` hears of state changes. */
  constructor(clock: Clock, probe: () => Promise<void>, changed: (up: boolean, why: string) => void) {
    this.#clock = clock;
    this.#probe = probe;
    this.#changed = changed;
  }

  get state(): BreakerState {
    return this.#state;
  }

  /** Why it is down, or was last in doubt; null when all is well. */
  get lastError(): string | null {
    return this.#lastError;
  }

  /** Whether a probe is to decide if it is still there. */
  get inDoubt(): boolean {
    return this.#suspect;
  }

  get steady(): boolean {
    return this.#state !== 'Down' && !this.#suspect && this.#clock.now() >= this.#steadyAtMs;
  }

  /** An answer came; even a refusal shows that the server is there. */
  answered(): void {
    if (this.#closed) return;
    this.#heardMs = this.#clock.now();
    this.#failedProbes = 0;
    this.#lastError = null;
    // A connection that broke at once cost nobody anything: once a probe is answered all is as before.
    if (this.#falls > 0 && (this.#state === 'Down' || (this.#suspect && this.#slowDoubt))) {
      this.#steadyAtMs = this.#heardMs + Math.min(PROBATION_MAX_MS, PROBATION_MS * 2 ** (this.#falls - 1));
    }
    this.#suspect = false;
    if (this.#state !== 'Up') {
      this.#state = 'Up';
      this.#changed(true, 'it answers');
    }
    if (this.#cancelProbe === null) this.#schedule(this.#heartbeatMs());
  }

  /**
   * A kept connection broke, or an answer made no sense: may be nothing, so a probe decides, at once. `slow`: it cost
   * its request the whole time limit, which must not become a habit.
   */
  doubted(why: string, slow: boolean): void {
    if (this.#closed || this.#state === 'Down' || this.#suspect) return;
    if (slow) this.#fall();
    this.#suspect = true;
    this.#slowDoubt = slow;
    this.#lastError = why;
    this.#schedule(0);
  }

  /** A new connection did not lead to an answer. */
  failed(why: string): void {
    if (this.#closed) return;
    this.#lastError = why;
    if (this.#state !== 'Down') {
      this.#fall();
      this.#state = 'Down';
      this.#suspect = false;
      this.#schedule(this.#backoffMs());
      this.#changed(false, why);
    } else if (this.#cancelProbe === null) {
      this.#schedule(this.#backoffMs());
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancelProbe?.();
    this.#cancelProbe = null;
  }

  #fall(): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#lastFallMs > CALM_MS) this.#falls = 0;
    this.#lastFallMs = nowMs;
    this.#falls += 1;
  }

  #schedule(delayMs: number): void {
    this.#cancelProbe?.();
    this.#cancelProbe = this.#clock.schedule(delayMs, () => {
      this.#cancelProbe = null;
      const quietMs = this.#clock.now() - this.#heardMs;
      if (this.#state === 'Up' && !this.#suspect && quietMs < HEARTBEAT_MS) {
        this.#schedule(HEARTBEAT_MS - quietMs + this.#clock.random() * BACKOFF_MIN_MS);
        return;
      }
      void this.#probe();
    });
  }

  #heartbeatMs(): number {
    return HEARTBEAT_MS + this.#clock.random() * BACKOFF_MAX_MS;
  }

  /** Between one second and a limit that doubles up to five. */
  #backoffMs(): number {
    this.#failedProbes += 1;
    const highestMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** this.#failedProbes);
    return BACKOFF_MIN_MS + this.#clock.random() * (highestMs - BACKOFF_MIN_MS);
  }
}
