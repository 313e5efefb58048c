/** Whether the disk still has its reserve, asked at most once a second: below it writes stop and deletes go on. */
export interface FreeSpaceOptions {
  readonly reserveBytes: number;
  readonly freeBytes: () => number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

const askEveryMs = 1_000;

export class FreeSpace {
  readonly #options: FreeSpaceOptions;
  #askedAt = Number.NEGATIVE_INFINITY;
  #mayGrow = true;

  constructor(options: FreeSpaceOptions) {
    this.#options = options;
  }

  mayGrow(): boolean {
    const { reserveBytes, freeBytes, now } = this.#options;
    const nowMs = now();
    if (nowMs - this.#askedAt >= askEveryMs) {
      this.#askedAt = nowMs;
      this.#mayGrow = freeBytes() >= reserveBytes;
    }
    return this.#mayGrow;
  }
}
