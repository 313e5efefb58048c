/** How the time that the process may take to end is divided. Pure. */

/** What is left of it, at the most, for everything after the requests. */
const CLOSING_MS = 10_000;
/** An answer to a request that is cut needs no longer to leave. */
const TELLING_MS = 1_000;

export interface EndingTimes {
  /** Requests in flight may go on for so long. */
  readonly drainMs: number;
  /** Then those that can still be answered are, and connections end. */
  readonly tellMs: number;
  /** Then everything else is closed. */
  readonly closeMs: number;
}

/** At least two thirds are for the requests; the parts together are `limitMs`. */
export function endingTimes(limitMs: number): EndingTimes {
  const afterwardsMs = Math.min(CLOSING_MS, Math.floor(limitMs / 3));
  const tellMs = Math.min(TELLING_MS, Math.floor(afterwardsMs / 3));
  return { drainMs: limitMs - afterwardsMs, tellMs, closeMs: afterwardsMs - tellMs };
}
