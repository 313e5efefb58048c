/** Time as the operator sees it; tests pass their own, so that none of them sleeps. */
export interface Clock {
  /** Unix milliseconds: what is written into objects. */
  wallMs(): number;
  /** Milliseconds on a scale that never goes back: waits, leases and durations. */
  steadyMs(): number;
  /** Calls back once after that time; the result calls it off. */
  timer(delayMs: number, callback: () => void): () => void;
}

/** A timer of Node with more than 2^31-1 ms fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  wallMs: Date.now,
  steadyMs: () => performance.now(),
  timer: (delayMs, callback) => {
    const timer = setTimeout(callback, Math.min(delayMs, LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Resolves after that time, or as soon as the signal aborts. */
export function wait(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      cancel();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.timer(delayMs, done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** A number in [0, 1), as Math.random: spreads what would otherwise happen in step. */
export interface Random {
  (): number;
}

/** first, 2 x first, 4 x first, ... up to the longest, of which a random part between none and half is left out. */
export function backoffMs(
  failures: number,
  scale: { readonly firstMs: number; readonly longestMs: number },
  random: Random,
): number {
  const full = Math.min(scale.longestMs, scale.firstMs * 2 ** (failures - 1));
  return full * (1 - random() / 2);
}
