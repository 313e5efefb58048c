/** Time as the key holder sees it; tests pass their own. */
export interface Clock {
  /** Milliseconds on a scale that never goes back. */
  now(): number;
  /** Runs once after the delay; the returned function cancels it. */
  schedule(delayMs: number, run: () => void): () => void;
  /** Uniform in [0, 1), for jitter. */
  random(): number;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  schedule: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
