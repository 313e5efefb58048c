/**
 * Leader election over a Lease, with client-go's rules: one operator of several acts.
 *
 * Owns when this process is the leader. Another's lease counts as held for its whole duration since this process last
 * saw it change, by its own clock: timestamps of other machines are never compared. A leader that could not renew in
 * time stops at once, while others still wait. It fences nothing: the epoch of the admin API does.
 */
import type { Logger } from 'pino';
import { type Clock, type Random, wait } from '../clock.ts';
import { type KubeApi, KubeError } from './kubeApi.ts';
import { heldBy, LEASES, type LeaseRecord, readLease } from './leaseRecord.ts';

export interface LeaseTimes {
  /** Others wait so long after the last renewal that they saw. */
  readonly durationMs: number;
  /** A leader that did not renew for so long stops; shorter than the duration. */
  readonly renewDeadlineMs: number;
  /** Between tries to take or to renew; some more by chance while it is another's. */
  readonly retryMs: number;
}

export const LEASE_TIMES: LeaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };

export interface LeaderElectionOptions {
  readonly api: Pick<KubeApi, 'get' | 'create' | 'mergePatch'>;
  readonly namespace: string;
  /** The Lease's. */
  readonly name: string;
  /** No two processes may share it. */
  readonly identity: string;
  readonly times?: LeaseTimes;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The work of a leader: ends soon after the signal aborts. A rejection ends the term. */
  readonly onStarted: (signal: AbortSignal) => Promise<void>;
}

/** Why `run` ended: told to (stopped), or somebody else may lead now (lost). */
export type TermEnd = 'stopped' | 'lost';

export class LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #times: LeaseTimes;
  /** The lease as last read or written. */
  #record: LeaseRecord | null = null;
  /** When this process first saw the record so, on the steady scale. */
  #observedMs = 0;
  #heldUntilMs = Number.NEGATIVE_INFINITY;

  /** Throws RangeError when a leader would not stop before others take over. */
  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#times = options.times ?? LEASE_TIMES;
    const { durationMs, renewDeadlineMs, retryMs } = this.#times;
    if (durationMs <= renewDeadlineMs)
      throw new RangeError('the lease must last longer than the renew deadline');
    if (renewDeadlineMs <= retryMs * 1.2)
      throw new RangeError('the renew deadline must be longer than 1.2 retries');
  }

  /** Whether this process may act as leader at this moment. */
  get isLeader(): boolean {
    return this.#options.clock.steadyMs() < this.#heldUntilMs;
  }

  /** Waits for the lease, leads, and resolves when the term has ended; rejects with the error of the work. */
  async run(signal: AbortSignal): Promise<TermEnd> {
    if (!(await this.#acquire(signal))) return 'stopped';
    this.#options.log.info({ identity: this.#options.identity }, 'this process leads');
    return await this.#lead(signal);
  }

  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random, log } = this.#options;
    let told: string | undefined;
    while (!signal.aborted) {
      try {
        if (await this.#take(this.#times.renewDeadlineMs)) return true;
        const holder = this.#record?.holder;
        if (holder !== told) log.info({ holder }, 'another process leads: waiting');
        told = holder;
      } catch (error) {
        log.warn({ err: error }, 'the lease could not be taken: trying again');
      }
      await wait(clock, this.#times.retryMs * (1 + random() * 0.2), signal);
    }
    return false;
  }

  async #lead(signal: AbortSignal): Promise<TermEnd> {
    const { clock, onStarted } = this.#options;
    const term = new AbortController();
    const renewing = new AbortController();
    const lost = (): void => {
      this.#heldUntilMs = Number.NEGATIVE_INFINITY;
      renewing.abort();
      term.abort(new DOMException('the lease is lost', 'AbortError'));
    };
    const stop = (): void => term.abort(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    // Its own timer: a renewal that hangs must not keep a leader in office.
    const watchDeadline = (): (() => void) =>
      clock.timer(Math.max(0, this.#heldUntilMs - clock.steadyMs()), () => {
        if (this.isLeader) cancelDeadline = watchDeadline();
        else lost();
      });
    let cancelDeadline = watchDeadline();
    const renewals = this.#renew(renewing.signal).then((kept) => {
      if (!kept) lost();
    });
    try {
      await onStarted(term.signal);
    } finally {
      const held = this.isLeader;
      renewing.abort();
      cancelDeadline();
      signal.removeEventListener('abort', stop);
      await renewals;
      if (held) await this.#release();
    }
    return signal.aborted && term.signal.reason === signal.reason ? 'stopped' : 'lost';
  }

  /** Renews until told to stop; false: it is another's. */
  async #renew(signal: AbortSignal): Promise<boolean> {
    const { clock, log } = this.#options;
    for (;;) {
      await wait(clock, this.#times.retryMs, signal);
      if (signal.aborted) return true;
      try {
        const leftMs = this.#heldUntilMs - clock.steadyMs();
        if (!(await this.#take(leftMs))) return false;
      } catch (error) {
        log.warn({ err: error }, 'the lease could not be renewed: trying again');
      }
    }
  }

  /** One try to take or to keep the lease. Rejects when the API server gives no answer within that time. */
  async #take(withinMs: number): Promise<boolean> {
    const { clock } = this.#options;
    const limit = new AbortController();
    const cancel = clock.timer(Math.max(1, withinMs), () => limit.abort());
    // What others count from is not before this.
    const startedMs = clock.steadyMs();
    try {
      if (!(await this.#write(limit.signal))) return false;
      this.#heldUntilMs = startedMs + this.#times.renewDeadlineMs;
      return true;
    } catch (error) {
      if (error instanceof KubeError && (error.code === 'Conflict' || error.code === 'AlreadyExists')) {
        return await this.#stillOurs(limit.signal);
      }
      // Deleted by somebody: the next try makes it anew, unless another was faster.
      if (error instanceof KubeError && error.code === 'NotFound') this.#record = null;
      throw error;
    } finally {
      cancel();
    }
  }

  /** After a conflict: whether the lease names us. It is written with the next try; the deadline stays. */
  async #stillOurs(signal: AbortSignal): Promise<boolean> {
    await this.#observe(signal);
    return this.isLeader && this.#record?.holder === this.#options.identity;
  }

  async #write(signal: AbortSignal): Promise<boolean> {
    const { api, namespace, name, identity, clock } = this.#options;
    // A leader knows how the lease stands: it reads only after somebody else wrote.
    if (!this.isLeader || this.#record === null) await this.#observe(signal);
    const found = this.#record;
    if (found !== null && !this.#mayTake(found)) return false;
    const spec = heldBy(identity, found, this.#times.durationMs, clock.wallMs());
    const written =
      found === null
        ? await api.create(
            LEASES,
            { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace, name }, spec },
            { signal },
          )
        : await api.mergePatch(
            LEASES,
            { namespace, name },
            { metadata: { resourceVersion: found.resourceVersion }, spec },
            { signal },
          );
    this.#saw(readLease(written));
    return true;
  }

  #mayTake(found: LeaseRecord): boolean {
    const { clock, identity } = this.#options;
    if (found.holder === '' || found.holder === identity) return true;
    return clock.steadyMs() >= this.#observedMs + found.durationMs;
  }

  async #observe(signal: AbortSignal): Promise<void> {
    const { api, namespace, name } = this.#options;
    const object = await api.get(LEASES, { namespace, name }, signal);
    if (object === null) this.#record = null;
    else this.#saw(readLease(object));
  }

  #saw(record: LeaseRecord): void {
    const changed = record.resourceVersion !== this.#record?.resourceVersion;
    this.#record = record;
    if (changed) this.#observedMs = this.#options.clock.steadyMs();
  }

  /** Lets the next one lead at once. */
  async #release(): Promise<void> {
    const { api, namespace, name, identity, log, clock } = this.#options;
    const found = this.#record;
    this.#heldUntilMs = Number.NEGATIVE_INFINITY;
    // The last renewal may have found a successor's.
    if (found === null || found.holder !== identity) return;
    const limit = new AbortController();
    const cancel = clock.timer(this.#times.retryMs, () => limit.abort());
    try {
      const spec = { holderIdentity: '', leaseDurationSeconds: 1 };
      const patch = { metadata: { resourceVersion: found.resourceVersion }, spec };
      await api.mergePatch(LEASES, { namespace, name }, patch, { signal: limit.signal });
      log.info('the lease is given back');
    } catch (error) {
      log.warn({ err: error }, 'the lease could not be given back: it runs out');
    } finally {
      cancel();
    }
  }
}
