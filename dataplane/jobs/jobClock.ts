/** Time as the jobs see it; tests pass their own. */
export interface JobClock {
  /** Unix milliseconds: ages of keys. */
  wallMs(): number;
  /** Milliseconds on a scale that never goes back. */
  steadyMs(): number;
  /** Resolves after that time, or as soon as the signal aborts. */
  wait(waitMs: number, signal: AbortSignal): Promise<void>;
}

export const systemJobClock: JobClock = {
  wallMs: Date.now,
  steadyMs: () => performance.now(),
  wait: (waitMs, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, waitMs);
      signal.addEventListener('abort', done, { once: true });
    }),
};
