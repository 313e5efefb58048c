/** Remembers what failed, and when it may be tried again. */

export interface Failure {
  /** What the last attempt said. */
  readonly message: string;
  readonly failures: number;
  /** On the steady scale. */
  readonly notBeforeMs: number;
}

const FIRST_MS = 2_000;
const LONGEST_MS = 5 * 60_000;

export class Backoff {
  readonly #failed = new Map<string, Failure>();

  /** Whether this may be tried now. */
  isDue(what: string, nowMs: number): boolean {
    return nowMs >= (this.#failed.get(what)?.notBeforeMs ?? 0);
  }

  /** The last failure since the last success; null when there is none. */
  of(what: string): Failure | null {
    return this.#failed.get(what) ?? null;
  }

  /** Waits twice as long each time, or as long as it is told. */
  failed(what: string, message: string, nowMs: number, waitMs: number | null = null): Failure {
    const failures = (this.#failed.get(what)?.failures ?? 0) + 1;
    const delayMs = waitMs ?? Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
    const failure = { message, failures, notBeforeMs: nowMs + delayMs };
    this.#failed.set(what, failure);
    return failure;
  }

  succeeded(what: string): void {
    this.#failed.delete(what);
  }

  /** When the first of these may be tried again, on the steady scale; null: nothing waits. */
  get nextMs(): number | null {
    const times = [...this.#failed.values()].map(({ notBeforeMs }) => notBeforeMs);
    return times.length === 0 ? null : Math.min(...times);
  }

  /** Forgets what nobody wants to do any more. */
  retain(wanted: ReadonlySet<string>): void {
    for (const what of this.#failed.keys()) if (!wanted.has(what)) this.#failed.delete(what);
  }
}
