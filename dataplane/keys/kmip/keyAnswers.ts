/** What a server's answers about a key mean: whether it may be used, and whether it is ours. Knows no endpoints' choice. */
import type { KeyObject } from 'node:crypto';
import { KmsError } from '../keys.ts';
import { payloadOf } from './endpoint.ts';
import type { Ask } from './endpointGroup.ts';
import { KmipError } from './errors.ts';
import { valueOf } from './fields.ts';
import type { ItemResult } from './messages.ts';
import * as operations from './operations.ts';
import { judge } from './reasons.ts';
import { AES, ENCRYPT_DECRYPT, STATE } from './tags.ts';
import { type Ttlv, TtlvError } from './ttlv.ts';

/** The KMS's clock may be behind ours by this much when an unfinished Create is looked for. */
const INITIAL_DATE_SLACK_MS = 15 * 60 * 1000;

/** A key that may be used, and for what. */
export interface FetchedKey {
  readonly key: KeyObject;
  /** Only an Active key may protect new data. */
  readonly writable: boolean;
  readonly compromised: boolean;
}

/** What notOurs() looks at. */
export const OUR_ATTRIBUTES = [
  'Cryptographic Algorithm',
  'Cryptographic Length',
  'Cryptographic Usage Mask',
  'Initial Date',
];

/** Asks one endpoint for State and key. */
export const fetchFrom =
  (kmsId: string, separateMessages: boolean): Ask<FetchedKey> =>
  async (endpoint, attempt) => {
    const state = operations.getAttributes(kmsId, ['State']);
    const get = operations.get(kmsId);
    if (!separateMessages) {
      return await endpoint.request(
        [state, get],
        ([first, got]) => usableKey(readState(first), got, kmsId),
        attempt,
      );
    }
    const known = await endpoint.request([state], ([first]) => usableState(readState(first), kmsId), attempt);
    return await endpoint.request([get], ([got]) => usableKey(known, got, kmsId), attempt);
  };

/** The State that Get Attributes answered. Throws KmipError or TtlvError. */
export function readState(result: ItemResult | undefined): number {
  const state = operations.readAttributes(payloadOf(result)).get('State');
  if (state === undefined) throw new TtlvError('the server sent no State');
  return valueOf(state, 'Enumeration');
}

export const isGone = (state: number): boolean =>
  state === STATE.destroyed || state === STATE.destroyedCompromised;

/** KMIP 1.4 section 3.22, read strictly: what is neither Active, Deactivated nor Compromised is not used. */
function usableState(state: number, kmsId: string): number {
  if (isGone(state)) throw new KmsError('NotFound', `key ${kmsId} is destroyed`);
  if (state === STATE.preActive) {
    throw new KmipError('PreActive', `key ${kmsId} is Pre-Active`, { sent: true });
  }
  if (state !== STATE.active && state !== STATE.deactivated && state !== STATE.compromised) {
    throw new KmsError('InvalidState', `key ${kmsId} is in state ${state}`);
  }
  return state;
}

function usableKey(state: number, got: ItemResult | undefined, kmsId: string): FetchedKey {
  usableState(state, kmsId);
  if (got?.status === 'failure' && state !== STATE.active && judgedDenied(got.reason)) {
    throw new KmsError('InvalidState', `the KMS gives out key ${kmsId} in its state ${state} no more`);
  }
  return {
    key: operations.readKey(payloadOf(got), kmsId),
    writable: state === STATE.active,
    compromised: state === STATE.compromised,
  };
}

/** 1.x servers say Permission Denied also for a wrong state. */
const judgedDenied = (reason: number | null): boolean =>
  judge(new KmipError('Result', '', { sent: true, reason })).code === 'AccessDenied';

/** Why a located key cannot be the one that our unfinished Create made, or null when it can. */
export function notOurs(attributes: ReadonlyMap<string, Ttlv>, reservedMs: number): string | null {
  const number = (name: string): number | null => {
    const item = attributes.get(name);
    if (item === undefined) return null;
    return valueOf(item, name === 'Cryptographic Algorithm' ? 'Enumeration' : 'Integer');
  };
  if (number('Cryptographic Algorithm') !== AES) return 'its algorithm is not AES';
  if (number('Cryptographic Length') !== 256) return 'its length is not 256 bits';
  if (number('Cryptographic Usage Mask') !== ENCRYPT_DECRYPT)
    return 'its usage mask is not Encrypt and Decrypt';
  const initialDate = attributes.get('Initial Date');
  if (initialDate === undefined) return 'it has no Initial Date';
  const createdMs = Number(valueOf(initialDate, 'DateTime')) * 1000;
  if (createdMs < reservedMs - INITIAL_DATE_SLACK_MS) return 'it is older than the reservation of its name';
  return null;
}
