/**
 * How many probes run at a time: a few, and fewer of one namespace, whose own time limits say how long each may take.
 * So the KMS of one tenant that does not answer delays no other's probes.
 */
const AT_ONCE = 8;
const OF_ONE_NAMESPACE = 2;

export class ProbeSlots {
  /** Of each namespace that has any. */
  readonly #running = new Map<string, number>();
  #total = 0;
  /** The first come first. */
  readonly #waiting: { readonly namespace: string; readonly enter: () => void }[] = [];

  /** Resolves when a probe may begin; `leave` must follow. */
  async enter(namespace: string): Promise<void> {
    if (this.#hasRoom(namespace)) this.#take(namespace);
    else await new Promise<void>((enter) => this.#waiting.push({ namespace, enter }));
  }

  leave(namespace: string): void {
    this.#total -= 1;
    const left = (this.#running.get(namespace) ?? 0) - 1;
    if (left > 0) this.#running.set(namespace, left);
    else this.#running.delete(namespace);
    const at = this.#waiting.findIndex((one) => this.#hasRoom(one.namespace));
    const [next] = at === -1 ? [] : this.#waiting.splice(at, 1);
    if (next === undefined) return;
    this.#take(next.namespace);
    next.enter();
  }

  #hasRoom(namespace: string): boolean {
    return this.#total < AT_ONCE && (this.#running.get(namespace) ?? 0) < OF_ONE_NAMESPACE;
  }

  #take(namespace: string): void {
    this.#total += 1;
    this.#running.set(namespace, (this.#running.get(namespace) ?? 0) + 1);
  }
}
