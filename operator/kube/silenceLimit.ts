/** Aborts when nothing was heard for too long: the other end of a connection may be gone without a word. */
import type { Clock } from '../clock.ts';

export class SilenceLimit {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal;
  readonly #outerAborted: () => void;
  #cancel: () => void = () => undefined;
  #heardMs: number;
  exceeded = false;

  /** Begins to count. `outer` aborts the signal too. */
  constructor(clock: Clock, limitMs: number, outer: AbortSignal) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#heardMs = clock.steadyMs();
    this.#outer = outer;
    this.#outerAborted = () => this.#controller.abort(outer.reason);
    if (outer.aborted) this.#outerAborted();
    else outer.addEventListener('abort', this.#outerAborted, { once: true });
    this.#arm(limitMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  heard(): void {
    this.#heardMs = this.#clock.steadyMs();
  }

  /** Stops counting. */
  end(): void {
    this.#cancel();
    this.#outer.removeEventListener('abort', this.#outerAborted);
  }

  /** One timer at a time, set anew only when it runs out: an event costs no timer. */
  #arm(delayMs: number): void {
    this.#cancel = this.#clock.timer(delayMs, () => {
      const leftMs = this.#heardMs + this.#limitMs - this.#clock.steadyMs();
      if (leftMs > 0) {
        this.#arm(leftMs);
        return;
      }
      this.exceeded = true;
      this.#controller.abort(new DOMException('nothing heard', 'TimeoutError'));
    });
  }
}
