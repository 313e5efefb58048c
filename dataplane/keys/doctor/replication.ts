/** How long another endpoint takes to know a new key, and whether it gives the same one. */
import type { KeyObject } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { STATE } from '../kmip/tags.ts';
import { askKey } from './keyQuestion.ts';
import { verdictOn } from './keyState.ts';
import { pause } from './pause.ts';
import { type DoctorSession, type Failure, StepFailed } from './session.ts';

/** Longer than this a new bucket should not have to wait for a cluster. */
export const REPLICATION_LIMIT_MS = 10_000;
const POLL_MS = 100;

export interface Replication {
  /** `host:port` */
  readonly endpoint: string;
  /** From the answer to Activate until this endpoint gave the key as Active, at most; null = it did not within 10 s. */
  readonly lagMs: number | null;
  /** Whether it gave the same bytes; null = it gave none. */
  readonly sameKey: boolean | null;
  /** The last refusal, when it never gave the key. */
  readonly failure: Failure | null;
}

interface NewKey {
  readonly kmsId: string;
  readonly key: KeyObject;
  /** When it became Active, on the clock's scale. */
  readonly activeMs: number;
  /** Whether State and key are asked for in two messages. */
  readonly separate: boolean;
}

/** Asks each endpoint for the key until it has it. Never rejects but for faults of our own. */
export async function watchReplication(
  sessions: readonly DoctorSession[],
  key: NewKey,
  deps: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Replication[]> {
  return await Promise.all(sessions.map(async (session) => await watch(session, key, deps)));
}

async function watch(
  session: DoctorSession,
  { kmsId, key, activeMs, separate }: NewKey,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Replication> {
  const endpoint = session.address;
  for (;;) {
    let failure: Failure | null = null;
    try {
      const got = await askKey(session, kmsId, { step: 'Get', separate, quiet: true });
      if (got.state === STATE.active)
        return { endpoint, lagMs: clock.now() - activeMs, sameKey: got.key.equals(key), failure: null };
    } catch (error) {
      if (!(error instanceof StepFailed)) throw error;
      failure = error.failure;
      // Only what may be lag is worth another look; KMIP 1.x also says Permission Denied for what it does not know.
      const { code } = verdictOn(failure);
      if (failure.kind !== 'Result' || (code !== 'NotFound' && code !== 'AccessDenied'))
        return { endpoint, lagMs: null, sameKey: null, failure };
    }
    if (signal.aborted || clock.now() - activeMs > REPLICATION_LIMIT_MS)
      return { endpoint, lagMs: null, sameKey: null, failure };
    await pause(POLL_MS, clock, signal);
  }
}
