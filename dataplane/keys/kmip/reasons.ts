/**
 * What each KMIP Result Reason (KMIP 1.4 section 9.1.3.2.29, and the newer ones that servers already send) means for us,
 * as data. Anything not listed is a lasting refusal.
 */
import type { KmsErrorCode } from '../keys.ts';
import type { KmipError } from './errors.ts';

export interface Verdict {
  readonly code: KmsErrorCode;
  /** The same request may succeed later or elsewhere: a cached key may go on serving inside the stale limit. */
  readonly retryable: boolean;
  /** The version agreed on no longer suits the server: agree anew before the next request. */
  readonly renegotiate: boolean;
  /** May be replication that is behind: counts only when a second endpoint says so too. */
  readonly confirm: boolean;
}

interface ReasonRow extends Partial<Verdict> {
  readonly name: string;
}

const RETRY = { code: 'Unavailable', retryable: true } as const;
const GONE = { code: 'NotFound', confirm: true } as const;
const DENIED = { code: 'AccessDenied' } as const;
const WRONG_STATE = { code: 'InvalidState' } as const;
const RENEGOTIATE = { renegotiate: true } as const;

/** Result Reason → verdict; a row without code is 'Refused'. */
const REASONS: Readonly<Record<number, ReasonRow>> = {
  0x01: { name: 'Item Not Found', ...GONE },
  0x02: { name: 'Response Too Large', ...RENEGOTIATE },
  0x03: { name: 'Authentication Not Successful', ...DENIED },
  0x04: { name: 'Invalid Message', ...RENEGOTIATE },
  0x05: { name: 'Operation Not Supported', ...RENEGOTIATE },
  0x06: { name: 'Missing Data' },
  0x07: { name: 'Invalid Field' },
  0x08: { name: 'Feature Not Supported', ...RENEGOTIATE },
  0x0b: { name: 'Illegal Operation', ...WRONG_STATE },
  0x0c: { name: 'Permission Denied', ...DENIED },
  0x0d: { name: 'Object Archived', ...WRONG_STATE },
  0x10: { name: 'Key Format Type Not Supported' },
  0x13: { name: 'Key Value Not Present' },
  0x14: { name: 'Attestation Required', ...DENIED },
  0x15: { name: 'Attestation Failed', ...DENIED },
  0x16: { name: 'Sensitive' },
  0x17: { name: 'Not Extractable' },
  0x2a: { name: 'Internal Server Error', ...RETRY },
  0x36: { name: 'Object Destroyed', ...GONE },
  0x37: { name: 'Object Not Found', ...GONE },
  0x39: { name: 'Not Authorised', ...DENIED },
  0x3a: { name: 'Server Limit Exceeded', ...RETRY },
  0x3f: { name: 'Unsupported Protocol Version', ...RENEGOTIATE },
  0x43: { name: 'Wrong Key Lifecycle State', ...WRONG_STATE },
  0x100: { name: 'General Failure', ...RETRY },
};

/** The specification's name of a reason, or its number. */
export function reasonName(reason: number | null): string {
  if (reason === null) return 'no reason given';
  return REASONS[reason]?.name ?? `reason 0x${reason.toString(16)}`;
}

/** Judges a failed exchange. A server that cannot be reached or understood is an outage, never a refusal. */
export function judge(error: KmipError): Verdict {
  if (error.code === 'PreActive') {
    return { code: 'InvalidState', retryable: false, renegotiate: false, confirm: true };
  }
  if (error.code !== 'Result') {
    return { code: 'Unavailable', retryable: true, renegotiate: error.code === 'Malformed', confirm: false };
  }
  const row = error.reason === null ? undefined : REASONS[error.reason];
  return {
    code: row?.code ?? 'Refused',
    retryable: row?.retryable ?? false,
    renegotiate: row?.renegotiate ?? false,
    confirm: row?.confirm ?? false,
  };
}
