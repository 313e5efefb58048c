/** A steady S3 load, every answer of which is judged: clients that each write an object, read it back and start over. */
import type { Sealgate } from '../../harness/sealgate.ts';
import { type RawAnswer, send } from '../../harness/signedRequest.ts';

export interface Judged {
  readonly method: 'PUT' | 'GET';
  readonly startedMs: number;
  readonly endedMs: number;
  readonly status: number;
  /** 200 with the bytes that were written last. */
  readonly right: boolean;
}

export class Load {
  readonly answers: Judged[] = [];
  readonly #server: Sealgate;
  readonly #clients: Promise<void>[];
  #waiting: { readonly count: number; readonly reached: () => void }[] = [];
  #stopped = false;

  /** Starts one client for each of `buckets`, which exist. */
  constructor(server: Sealgate, buckets: readonly string[]) {
    this.#server = server;
    this.#clients = buckets.map(async (bucket) => await this.#client(bucket));
  }

  /** The answers since then, by when their requests began. */
  since(startedMs: number): readonly Judged[] {
    return this.answers.filter((answer) => answer.startedMs >= startedMs);
  }

  /** Resolves when so many more requests were answered. */
  async more(requests: number): Promise<void> {
    await new Promise<void>((reached) =>
      this.#waiting.push({ count: this.answers.length + requests, reached }),
    );
  }

  /** Resolves when a request that began from now on was answered so. */
  async next(matches: (answer: Judged) => boolean): Promise<Judged> {
    const nowMs = performance.now();
    for (;;) {
      const found = this.since(nowMs).find(matches);
      if (found !== undefined) return found;
      await this.more(1);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
  }

  async #client(bucket: string): Promise<void> {
    let kept: Buffer | null = null;
    for (let turn = 0; !this.#stopped; turn += 1) {
      const body = Buffer.from(`turn ${turn} of ${bucket}`);
      const path = `/${bucket}/object`;
      const put = await this.#judge('PUT', () => send(this.#server, { method: 'PUT', path, body }), null);
      if (put.status === 200) kept = body;
      if (kept !== null) await this.#judge('GET', () => send(this.#server, { method: 'GET', path }), kept);
    }
  }

  async #judge(
    method: Judged['method'],
    ask: () => Promise<RawAnswer>,
    expected: Buffer | null,
  ): Promise<RawAnswer> {
    const startedMs = performance.now();
    const answer = await ask();
    const { status } = answer;
    const right = status === 200 && (expected === null || answer.body.equals(expected));
    this.answers.push({ method, startedMs, endedMs: performance.now(), status, right });
    const reached = this.#waiting.filter(({ count }) => this.answers.length >= count);
    this.#waiting = this.#waiting.filter((one) => !reached.includes(one));
    for (const one of reached) one.reached();
    return answer;
  }
}
