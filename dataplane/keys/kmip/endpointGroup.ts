/**
 * Chooses among the endpoints of one KMS.
 *
 * Reads go to any endpoint that is up: steady ones first, the lowest tier first, and inside a tier the one with the least
 * under way. What failed in passing is asked of the next one, and in a second round once more on new connections. That a
 * key is missing counts only when a second endpoint says so too: a cluster replicates with delay. Changes go to one
 * endpoint, always the same one while it is up, and elsewhere only when they certainly never left.
 */
import type { Clock } from '../clock.ts';
import type { KmsErrorCode } from '../keys.ts';
import type { KmipEndpoint } from './endpoint.ts';
import { KmipError } from './errors.ts';
import { judge } from './reasons.ts';

/** Each endpoint gets at least so long, or a slow KMS would look like a dead one. */
const ATTEMPT_MIN_MS = 2000;

/** The limits of one attempt on one endpoint; `deadlineMs` is on the clock's scale. */
export interface Attempt {
  readonly deadlineMs: number;
  /** On a new connection: a kept one failed before. */
  readonly fresh: boolean;
}

/** Asks one endpoint; rejects with KmipError for what the choice depends on. */
export type Ask<T> = (endpoint: KmipEndpoint, attempt: Attempt) => Promise<T>;

/** What an endpoint answered, and which one it was. */
export interface Answer<T> {
  readonly endpoint: KmipEndpoint;
  readonly value: T;
}

export class EndpointGroup {
  readonly endpoints: readonly KmipEndpoint[];
  #clock: Clock;
  /** When each was asked last, in turns. */
  #turns = new Map<KmipEndpoint, number>();
  #turn = 0;

  /** In order of preference inside their tiers; at least one. */
  constructor(endpoints: readonly KmipEndpoint[], clock: Clock) {
    this.endpoints = endpoints;
    this.#clock = clock;
  }

  /**
   * Reads from whichever endpoint has the answer, `first` before the others. Rejects with KmipError: the refusal, the
   * last failure, or 'Unconfirmed' when something is missing on one endpoint and no other could be asked.
   */
  async any<T>(ask: Ask<T>, deadlineMs: number, first?: KmipEndpoint): Promise<Answer<T>> {
    const order = this.#byLoad(first);
    const missing = new Map<KmsErrorCode, KmipError[]>();
    let failed: KmipEndpoint[] = order;
    let lastFailure = this.#allDown();
    for (const fresh of [false, true]) {
      const targets = failed.filter((endpoint) => endpoint.usable);
      failed = [];
      for (const [index, endpoint] of targets.entries()) {
        const attempt = { deadlineMs: this.#share(deadlineMs, targets.length - index), fresh };
        if (attempt.deadlineMs <= this.#clock.now()) break;
        try {
          return { endpoint, value: await ask(endpoint, attempt) };
        } catch (error) {
          if (!(error instanceof KmipError)) throw error;
          const { code, confirm, retryable } = judge(error);
          if (confirm) missing.set(code, [...(missing.get(code) ?? []), error]);
          else if (!retryable) throw error;
          else {
            failed.push(endpoint);
            lastFailure = error;
          }
        }
      }
      for (const [first, second] of missing.values()) {
        if (first !== undefined && (second !== undefined || this.endpoints.length === 1)) throw first;
      }
    }
    const [unconfirmed] = [...missing.values()].flat();
    if (unconfirmed === undefined) throw lastFailure;
    throw new KmipError('Unconfirmed', `${unconfirmed.message}; no second endpoint could be asked`, {
      sent: true,
      cause: unconfirmed,
    });
  }

  /** Sends a change to the leading endpoint; to another one only while it certainly never left. Rejects with KmipError. */
  async one<T>(ask: Ask<T>, deadlineMs: number): Promise<Answer<T>> {
    let lastFailure = this.#allDown();
    const order = this.#byPreference();
    for (const [index, endpoint] of order.entries()) {
      const attempt = { deadlineMs: this.#share(deadlineMs, order.length - index), fresh: false };
      if (attempt.deadlineMs <= this.#clock.now()) break;
      try {
        return { endpoint, value: await ask(endpoint, attempt) };
      } catch (error) {
        if (!(error instanceof KmipError) || error.sent || !judge(error).retryable) throw error;
        lastFailure = error;
      }
    }
    throw lastFailure;
  }

  /**
   * The first answer that `found` accepts, from all endpoints. Null only when every single one gave another: an
   * endpoint that cannot be asked may be the one that has it. Rejects with KmipError.
   */
  async search<T>(ask: Ask<T>, found: (value: T) => boolean, deadlineMs: number): Promise<Answer<T> | null> {
    let unasked: KmipError | null = null;
    const order = this.#byPreference();
    for (const endpoint of [...order, ...this.endpoints.filter((one) => !order.includes(one))]) {
      try {
        const value = await this.#twice(endpoint, ask, deadlineMs);
        if (found(value)) return { endpoint, value };
      } catch (error) {
        if (!(error instanceof KmipError) || !judge(error).retryable) throw error;
        unasked = error;
      }
    }
    if (unasked !== null) throw unasked;
    return null;
  }

  /** The endpoints that are up, without this one. */
  others(endpoint: KmipEndpoint): KmipEndpoint[] {
    return this.endpoints.filter((one) => one !== endpoint && one.usable);
  }

  async #twice<T>(endpoint: KmipEndpoint, ask: Ask<T>, deadlineMs: number): Promise<T> {
    try {
      return await ask(endpoint, { deadlineMs, fresh: false });
    } catch (error) {
      if (!(error instanceof KmipError) || !judge(error).retryable || !endpoint.usable) throw error;
      if (this.#clock.now() >= deadlineMs) throw error;
      return await ask(endpoint, { deadlineMs, fresh: true });
    }
  }

  /** Those that are up, in the order in which changes should try them: always the same while nothing happens. */
  #byPreference(): KmipEndpoint[] {
    return this.endpoints
      .filter((endpoint) => endpoint.usable)
      .sort((a, b) => Number(b.steady) - Number(a.steady) || a.tier - b.tier);
  }

  #byLoad(first?: KmipEndpoint): KmipEndpoint[] {
    const order = this.endpoints
      .filter((endpoint) => endpoint.usable)
      .sort(
        (a, b) =>
          Number(b === first) - Number(a === first) ||
          Number(b.steady) - Number(a.steady) ||
          a.tier - b.tier ||
          a.underWay - b.underWay ||
          (this.#turns.get(a) ?? 0) - (this.#turns.get(b) ?? 0),
      );
    this.#turn += 1;
    if (order[0] !== undefined) this.#turns.set(order[0], this.#turn);
    return order;
  }

  /** The time that one of `left` attempts may take, so that those after it still have theirs. */
  #share(deadlineMs: number, left: number): number {
    const nowMs = this.#clock.now();
    return Math.min(deadlineMs, nowMs + Math.max(ATTEMPT_MIN_MS, (deadlineMs - nowMs) / left));
  }

  #allDown(): KmipError {
    const why = this.endpoints.map(
      ({ status }) => `${status.host}:${status.port} (${status.lastError ?? ''})`,
    );
    return new KmipError('Connection', `no endpoint is up: ${why.join(', ')}`, { sent: false });
  }
}
