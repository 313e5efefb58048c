/** Work under one name one after the other; under different names at once. */
export class Turns {
  readonly #running = new Map<string, Promise<unknown>>();

  /** Whether work under this name is under way or waits. */
  has(name: string): boolean {
    return this.#running.has(name);
  }

  /** Resolves and rejects as `work` does, which begins when all that was asked for before under this name has ended. */
  async take<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#running.get(name) ?? Promise.resolve();
    // Whoever waits before us has been told how theirs ended; ours does not depend on it.
    const mine = before.then(work, work);
    this.#running.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#running.get(name) === mine) this.#running.delete(name);
    }
  }
}
