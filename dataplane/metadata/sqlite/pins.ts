/** Which bodies have open readers in this client, counted. */
import type { Id } from '../metadata.ts';

export class Pins {
  readonly #counts = new Map<Id, number>();

  /** Pins once more; the returned function takes this pin away, once. */
  pin(bodyId: Id): () => void {
    this.#counts.set(bodyId, (this.#counts.get(bodyId) ?? 0) + 1);
    let pinned = true;
    return () => {
      if (!pinned) return;
      pinned = false;
      const left = (this.#counts.get(bodyId) ?? 0) - 1;
      if (left > 0) this.#counts.set(bodyId, left);
      else this.#counts.delete(bodyId);
    };
  }

  pinned(): Id[] {
    return [...this.#counts.keys()];
  }
}
