/** Cuts a reconcile off before or after its n-th message to anybody, as a crash would. */

export class CutOff extends Error {}

/** Fails for ever from its cut on: a process that has crashed sends nothing more. */
export class Cutter {
  steps = 0;
  /** Whether the cut came. */
  happened = false;
  #cut: { readonly step: number; readonly side: 'before' | 'after' } | null = null;

  /** From now on: the step, counted from 1, that is cut. */
  arm(step: number, side: 'before' | 'after'): void {
    this.steps = 0;
    this.happened = false;
    this.#cut = { step, side };
  }

  disarm(): void {
    this.#cut = null;
    this.steps = 0;
    this.happened = false;
  }

  readonly around = async <T>(_call: string, act: () => T): Promise<T> => {
    await Promise.resolve();
    if (this.happened) throw new CutOff('after the crash');
    this.steps += 1;
    const cut = this.#cut !== null && this.#cut.step === this.steps ? this.#cut.side : null;
    if (cut === 'before') this.#crash();
    try {
      return act();
    } finally {
      // Also after a refusal, which nobody then hears.
      if (cut === 'after') this.#crash();
    }
  };

  #crash(): never {
    this.happened = true;
    throw new CutOff('crash');
  }
}
