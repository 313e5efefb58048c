/**
 * The fleet's CA over time. Clients trust the new authority long before anything is signed by it, and the old one until
 * long after the last certificate of it was replaced:
 *
 *     current ──2/3 of its life──▶ current + next ──30 days──▶ previous + current ──60 days──▶ current
 *
 * One that was made under a clock that was ahead is accepted by nobody yet: a new one takes its place at once.
 *
 * All of it can be told from the certificates themselves, so nothing else is kept. Pure but for making keys.
 */
import { isNotYetValid, isPair, issuedMs, makeCa, needsRenewal, type PemPair } from './certificates.ts';

const DAY_MS = 24 * 3_600_000;
/** How long the next authority is in the bundle before it signs: applications read their bundle when they start. */
const ANNOUNCED_MS = 30 * DAY_MS;
/** How long a replaced authority stays in the bundle, counted from its successor's birth. */
const REMEMBERED_MS = 90 * DAY_MS;

export interface Authority {
  /** Signs. */
  readonly current: PemPair;
  /** Trusted already, signs later. */
  readonly next: PemPair | null;
  /** Still trusted; its key is gone. */
  readonly previous: string | null;
}

/** The authority as it should be now; the same object when nothing is due. */
export async function advanceAuthority(
  authority: Authority | null,
  fleet: string,
  nowMs: number,
): Promise<Authority> {
  if (authority === null || !isPair(authority.current)) {
    return { current: await makeCa(fleet, nowMs), next: null, previous: null };
  }
  const { current, next, previous } = authority;
  if (isNotYetValid(current.cert, nowMs)) {
    return { current: await makeCa(fleet, nowMs), next: null, previous: current.cert };
  }
  if (next !== null && isPair(next) && !isNotYetValid(next.cert, nowMs)) {
    if (nowMs < issuedMs(next.cert) + ANNOUNCED_MS) return authority;
    return { current: next, next: null, previous: current.cert };
  }
  if (needsRenewal(current.cert, nowMs)) return { current, next: await makeCa(fleet, nowMs), previous };
  if (next !== null || (previous !== null && nowMs >= issuedMs(current.cert) + REMEMBERED_MS)) {
    return { current, next: null, previous: next === null ? null : previous };
  }
  return authority;
}

/** What clients should trust, PEM: the authority that signs first. */
export function trustBundle({ current, next, previous }: Authority): string {
  return [current.cert, next?.cert, previous].filter((cert) => cert !== undefined && cert !== null).join('');
}

/** Content of the Secret. */
export function authorityFiles(authority: Authority): Record<string, string> {
  return {
    'ca.crt': authority.current.cert,
    'ca.key': authority.current.key,
    'bundle.crt': trustBundle(authority),
    ...(authority.next === null ? {} : { 'next.crt': authority.next.cert, 'next.key': authority.next.key }),
    ...(authority.previous === null ? {} : { 'previous.crt': authority.previous }),
  };
}

/** Reads the Secret's content back; null: there is no authority in it. */
export function readAuthority(files: Readonly<Record<string, string>>): Authority | null {
  const cert = files['ca.crt'];
  const key = files['ca.key'];
  if (cert === undefined || key === undefined) return null;
  const nextCert = files['next.crt'];
  const nextKey = files['next.key'];
  return {
    current: { cert, key },
    next: nextCert === undefined || nextKey === undefined ? null : { cert: nextCert, key: nextKey },
    previous: files['previous.crt'] ?? null,
  };
}
