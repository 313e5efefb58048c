/** A key's State in an answer, and failures as the gateway would judge them. */
import { payloadOf } from '../kmip/endpoint.ts';
import { KmipError } from '../kmip/errors.ts';
import { valueOf } from '../kmip/fields.ts';
import type { ItemResult } from '../kmip/messages.ts';
import * as operations from '../kmip/operations.ts';
import { judge, type Verdict } from '../kmip/reasons.ts';
import { STATE } from '../kmip/tags.ts';
import { TtlvError } from '../kmip/ttlv.ts';
import type { Failure } from './session.ts';

/** The State that Get Attributes answered. Throws TtlvError when it told none. */
export function stateIn(result: ItemResult | undefined): number {
  const state = operations.readAttributes(payloadOf(result)).get('State');
  if (state === undefined) throw new TtlvError('the KMS sent no State');
  return valueOf(state, 'Enumeration');
}

export const isGone = (state: number): boolean =>
  state === STATE.destroyed || state === STATE.destroyedCompromised;

const STATE_NAMES: Readonly<Record<number, string>> = {
  [STATE.preActive]: 'Pre-Active',
  [STATE.active]: 'Active',
  [STATE.deactivated]: 'Deactivated',
  [STATE.compromised]: 'Compromised',
  [STATE.destroyed]: 'Destroyed',
  [STATE.destroyedCompromised]: 'Destroyed Compromised',
};

/** The specification's name of a State, or its number. */
export const stateName = (state: number): string => STATE_NAMES[state] ?? `state ${state}`;

/** What the gateway would make of the failure. */
export function verdictOn({ kind, reason, words, sent }: Failure): Verdict {
  return judge(new KmipError(kind, words, { sent, reason }));
}
