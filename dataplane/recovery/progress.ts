/** How far verify has come, for the person who waits. */

const INTERVAL_MS = 1_000;
const MIB = 1024 * 1024;

export class Progress {
  readonly #now: () => number;
  readonly #write: (line: string) => void;
  readonly #startedMs: number;
  #writtenMs: number;
  objects = 0;
  /** Plaintext bytes that were verified. */
  bytes = 0;

  /** `now`: milliseconds on a scale that never goes back. */
  constructor(now: () => number, write: (line: string) => void) {
    this.#now = now;
    this.#write = write;
    this.#startedMs = now();
    this.#writtenMs = this.#startedMs;
  }

  get elapsedMs(): number {
    return this.#now() - this.#startedMs;
  }

  addObject(): void {
    this.objects += 1;
    this.#tell();
  }

  addBytes(count: number): void {
    this.bytes += count;
    this.#tell();
  }

  #tell(): void {
    const nowMs = this.#now();
    if (nowMs - this.#writtenMs < INTERVAL_MS) return;
    this.#writtenMs = nowMs;
    const seconds = (nowMs - this.#startedMs) / 1_000;
    const mib = this.bytes / MIB;
    this.#write(`${this.objects} objects, ${mib.toFixed(1)} MiB, ${(mib / seconds).toFixed(1)} MiB/s\n`);
  }
}
