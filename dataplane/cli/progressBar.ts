/** How far a job on the server has come, for the person who waits: one line that is drawn again and again, or a line now and then. */

export interface JobProgress {
  readonly done: number;
  readonly remaining: number;
}

const WIDTH = 30;
const LINE_EVERY_MS = 10_000;

/** `[#####.....]  50 %  1,000 of 2,000 sealed anew, 400/s`. */
export function progressText(
  { done, remaining }: JobProgress,
  perSecond: number,
  what = 'sealed anew',
): string {
  const all = done + remaining;
  const share = all === 0 ? 1 : done / all;
  const filled = Math.floor(share * WIDTH);
  const bar = `${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}`;
  const percent = `${Math.floor(share * 100)}`.padStart(3);
  const count = (value: number): string => value.toLocaleString('en-US');
  return `[${bar}] ${percent} %  ${count(done)} of ${count(all)} ${what}, ${count(Math.round(perSecond))}/s`;
}

export class ProgressBar {
  readonly #write: (text: string) => void;
  readonly #isTerminal: boolean;
  readonly #nowMs: () => number;
  readonly #what: string | undefined;
  #first: { readonly done: number; readonly atMs: number } | null = null;
  #writtenMs = Number.NEGATIVE_INFINITY;
  #drawn = 0;

  /** `nowMs`: a scale that never goes back. `what`: what happens to the things that are counted. */
  constructor(options: {
    write: (text: string) => void;
    isTerminal: boolean;
    nowMs: () => number;
    what?: string;
  }) {
    this.#write = options.write;
    this.#isTerminal = options.isTerminal;
    this.#nowMs = options.nowMs;
    this.#what = options.what;
  }

  show(progress: JobProgress): void {
    const nowMs = this.#nowMs();
    // A rewrap that begins anew counts from 0 again.
    if (this.#first === null || progress.done < this.#first.done)
      this.#first = { done: progress.done, atMs: nowMs };
    const seconds = (nowMs - this.#first.atMs) / 1_000;
    const text = progressText(
      progress,
      seconds <= 0 ? 0 : (progress.done - this.#first.done) / seconds,
      this.#what,
    );
    if (this.#isTerminal) {
      this.#write(`\r${text.padEnd(this.#drawn)}`);
      this.#drawn = text.length;
    } else if (nowMs - this.#writtenMs >= LINE_EVERY_MS) {
      this.#writtenMs = nowMs;
      this.#write(`${text}\n`);
    }
  }

  /** A line of its own beside the bar. */
  tell(text: string): void {
    this.clear();
    this.#write(`${text}\n`);
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#drawn > 0) this.#write(`\r${' '.repeat(this.#drawn)}\r`);
    this.#drawn = 0;
  }
}
