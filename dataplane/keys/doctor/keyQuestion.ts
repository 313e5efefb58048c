/** State and key, asked for as the gateway would with these settings. */
import type { KeyObject } from 'node:crypto';
import { payloadOf } from '../kmip/endpoint.ts';
import * as operations from '../kmip/operations.ts';
import { stateIn } from './keyState.ts';
import type { DoctorSession, StepName } from './session.ts';

export interface KeyAnswer {
  readonly state: number;
  readonly key: KeyObject;
}

/** In one message, or in two where the profile of the connection says so; then the step is the second. Rejects with StepFailed. */
export async function askKey(
  session: DoctorSession,
  kmsId: string,
  {
    step,
    separate,
    quiet = false,
  }: { readonly step: StepName; readonly separate: boolean; readonly quiet?: boolean },
): Promise<KeyAnswer> {
  const attributes = operations.getAttributes(kmsId, ['State']);
  const get = operations.get(kmsId);
  if (!separate) {
    return await session.ask(
      step,
      [attributes, get],
      ([told, got]) => ({ state: stateIn(told), key: operations.readKey(payloadOf(got), kmsId) }),
      { quiet },
    );
  }
  const state = await session.ask('GetAttributes', [attributes], ([told]) => stateIn(told), { quiet });
  const key = await session.ask(step, [get], ([got]) => operations.readKey(payloadOf(got), kmsId), { quiet });
  return { state, key };
}
