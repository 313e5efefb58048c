/**
 * Bearer tokens of the admin port, one per line, newest first. A new token is known to the pods for a day before the
 * operator uses it, so that a rotation is never noticed. Pure but for the randomness that is passed in.
 */
const HOUR_MS = 3_600_000;
const ROTATED_EVERY_MS = 30 * 24 * HOUR_MS;
const OVERLAP_MS = 24 * HOUR_MS;

export interface AdminTokens {
  /** Newest first; one or two. */
  readonly tokens: readonly string[];
  /** When the newest one was made. */
  readonly madeMs: number;
}

/** The tokens as they should be now; the same object when nothing is due. `random` gives that many bytes. */
export function advanceTokens(
  present: AdminTokens | null,
  nowMs: number,
  random: (bytes: number) => Buffer,
): AdminTokens {
  const [newest, ...older] = present?.tokens ?? [];
  if (present === null || newest === undefined) {
    return { tokens: [random(32).toString('hex')], madeMs: nowMs };
  }
  if (nowMs >= present.madeMs + ROTATED_EVERY_MS) {
    return { tokens: [random(32).toString('hex'), newest], madeMs: nowMs };
  }
  if (older.length > 0 && nowMs >= present.madeMs + OVERLAP_MS) {
    return { tokens: [newest], madeMs: present.madeMs };
  }
  return present;
}

/** The token to use: the oldest that is valid, which every pod knows whatever it has read so far. */
export function tokenInUse(tokenFile: string): string | null {
  return tokenFile.split('\n').findLast((line) => line !== '') ?? null;
}
