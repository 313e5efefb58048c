/**
 * The epoch that this leader acts under. Until the data plane has given it one, nobody is handed a pod's admin API: a
 * mutation without an epoch would be taken for a person's, and served although a later leader is at work.
 */
import type { Logger } from 'pino';
import { type AdminApi, isOutage, isRefusal } from './admin/adminApi.ts';
import type { Fleet, FleetPod } from './admin/fleetPods.ts';
import { backoffMs, type Clock, type Random, wait } from './clock.ts';

const RETRY = { firstMs: 200, longestMs: 2_000 };

export interface EpochDeps {
  readonly fleet: Fleet;
  /** Identity in the Lease. */
  readonly holder: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

/** A fleet that is closed until `take` resolved. */
export class LedFleet implements Fleet {
  readonly #deps: EpochDeps;
  #epoch: number | null = null;

  constructor(deps: EpochDeps) {
    this.#deps = deps;
  }

  /** null: none yet. */
  get epoch(): number | null {
    return this.#epoch;
  }

  everyPod(): readonly FleetPod[] {
    const pods = this.#deps.fleet.everyPod();
    return this.#epoch === null ? pods.map((pod) => ({ ...pod, admin: null })) : pods;
  }

  anyPod(): AdminApi | null {
    return this.#epoch === null ? null : this.#deps.fleet.anyPod();
  }

  /** Resolves to the epoch as soon as a pod gave it; null when the signal aborted before. */
  async take(signal: AbortSignal): Promise<number | null> {
    const { clock, random, fleet, holder, log } = this.#deps;
    let told = false;
    for (let tries = 1; !signal.aborted; tries++) {
      try {
        const pod = fleet.anyPod();
        if (pod !== null) {
          this.#epoch = await pod.takeEpoch(holder, signal);
          return this.#epoch;
        }
      } catch (error) {
        // The fleet reconcile, which this must not end, brings the pods the tokens that the data plane shall take.
        const unauthorized = isRefusal(error, 'Unauthorized');
        if (!unauthorized && !isOutage(error)) throw error;
        if (unauthorized && !told)
          log.warn({ err: error }, 'the data plane does not take our token: trying again');
        told = unauthorized;
      }
      await wait(clock, backoffMs(Math.min(tries, 5), RETRY, random), signal);
    }
    return null;
  }
}
