/** Takes the throw-away key out of the KMS again, whatever happened before, and tells truly whether that worked. */
import type { Clock } from '../clock.ts';
import { payloadOf } from '../kmip/endpoint.ts';
import * as operations from '../kmip/operations.ts';
import { STATE } from '../kmip/tags.ts';
import { isGone, stateIn, verdictOn } from './keyState.ts';
import { pause } from './pause.ts';
import { type DoctorSession, StepFailed } from './session.ts';

/** `Left`: it is still there. `Unknown`: nobody answered whether it is, or whether it ever was. */
export type Removal = 'NotCreated' | 'Destroyed' | 'Left' | 'Unknown';

const ATTEMPTS = 3;
const PAUSE_MS = 1000;

interface Key {
  readonly name: string;
  /** Null when Create was sent and no answer came. */
  readonly kmsId: string | null;
}

/**
 * Revokes and destroys the key by whichever endpoint answers, the first session first: it is where the key was made, and
 * only its "not found" counts, since the others may not have the key yet. Tries for a few seconds. Never rejects but for
 * faults of our own.
 */
export async function removeKey(
  sessions: readonly [DoctorSession, ...DoctorSession[]],
  key: Key,
  clock: Clock,
): Promise<Removal> {
  let found = key.kmsId !== null;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    if (attempt > 1) await pause(PAUSE_MS, clock);
    for (const session of sessions) {
      const origin = session === sessions[0];
      const result = await removeBy(session, key, origin, attempt > 1);
      if (result === 'Destroyed' || result === 'NotCreated') return result;
      if (result === 'Left') found = true;
    }
  }
  return found ? 'Left' : 'Unknown';
}

/** What one endpoint did; null when it does not know. */
async function removeBy(
  session: DoctorSession,
  { name, kmsId }: Key,
  origin: boolean,
  quiet: boolean,
): Promise<Removal | null> {
  try {
    const kmsIds =
      kmsId === null
        ? await session.ask(
            'Locate',
            [operations.locate(name)],
            ([result]) => operations.readIdentifiers(payloadOf(result)),
            { quiet: true },
          )
        : [kmsId];
    if (kmsIds.length === 0) return origin ? 'NotCreated' : null;
    let result: Removal | null = 'Destroyed';
    for (const id of kmsIds) result = (await removeOne(session, id, origin, quiet)) ?? result;
    return result;
  } catch (error) {
    if (error instanceof StepFailed) return null;
    throw error;
  }
}

/** Null when the key is gone. */
async function removeOne(
  session: DoctorSession,
  kmsId: string,
  origin: boolean,
  quiet: boolean,
): Promise<'Left' | null> {
  const before = await look(session, kmsId);
  if (before === 'Gone') return origin ? null : 'Left';
  let active = before !== 'Inactive';
  if (active) {
    active = !(await refusable(() =>
      session.ask('Revoke', [operations.revoke(kmsId)], ([result]) => payloadOf(result).length, { quiet }),
    ));
  }
  // Of a key that could not be deactivated a refusal to destroy it tells nothing new.
  const silent = quiet || active;
  const destroyed = await refusable(() =>
    session.ask('Destroy', [operations.destroy(kmsId)], ([result]) => payloadOf(result).length, {
      quiet: silent,
    }),
  );
  const after = await look(session, kmsId);
  // A server that knows the key no more may say so in many ways; one that still tells a State has it.
  return after === 'Gone' || (destroyed && after === 'Untold') ? null : 'Left';
}

async function look(
  session: DoctorSession,
  kmsId: string,
): Promise<'Gone' | 'Active' | 'Inactive' | 'Untold'> {
  try {
    const state = await session.ask(
      'GetDestroyed',
      [operations.getAttributes(kmsId, ['State'])],
      ([result]) => stateIn(result),
      { quiet: true },
    );
    if (isGone(state)) return 'Gone';
    return state === STATE.active ? 'Active' : 'Inactive';
  } catch (error) {
    if (!(error instanceof StepFailed) || error.failure.kind !== 'Result') throw error;
    return verdictOn(error.failure).code === 'NotFound' ? 'Gone' : 'Untold';
  }
}

/** Whether it was done; a lost connection is passed on. */
async function refusable(question: () => Promise<unknown>): Promise<boolean> {
  try {
    await question();
    return true;
  } catch (error) {
    if (error instanceof StepFailed && error.failure.kind === 'Result') return false;
    throw error;
  }
}
