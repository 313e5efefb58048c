/**
 * One HTTP call to the API server: credentials, time limit, tries, metrics and errors. It knows paths and JSON, no
 * kinds. Every call rejects with KubeError.
 */
import type { Readable } from 'node:stream';
import { request } from 'undici';
import { backoffMs, type Clock, type Random, wait } from '../clock.ts';
import type { ApiAccess } from './access.ts';
import type { ApiMetrics } from './apiMetrics.ts';
import { failureOf } from './failures.ts';
import { KubeError } from './kubeApi.ts';

export interface ApiCall {
  /** As RBAC calls it; with `subject` the words of an error. */
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'apply' | 'patch' | 'delete';
  readonly resource: string;
  readonly subject: string;
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly accept?: string;
  readonly contentType?: string;
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
}

export interface TransportOptions {
  readonly access: ApiAccess;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: ApiMetrics;
  /** Of one attempt; a watch is limited until its headers. */
  readonly requestTimeoutMs?: number;
}

const TRIES = 4;
const LONGEST_WAIT_MS = 10_000;
const WAITS = { firstMs: 250, longestMs: 4_000 };

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly body: Readable & { text(): Promise<string>; dump(): Promise<void> };
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #timeoutMs: number;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#timeoutMs = options.requestTimeoutMs ?? 10_000;
  }

  /** The parsed answer of a call that ends. */
  send(call: ApiCall): Promise<unknown> {
    return this.#tries(call, async () => {
      const timeout = AbortSignal.timeout(this.#timeoutMs);
      const signal = call.signal === undefined ? timeout : AbortSignal.any([call.signal, timeout]);
      return await this.#timed(call, async () => {
        const answer = await this.#open(call, signal);
        const text = await answer.body.text();
        return { status: answer.status, value: this.#success(call, answer, text) };
      });
    });
  }

  /** The body of an answer that goes on until the signal aborts: a watch. */
  stream(call: ApiCall & { readonly signal: AbortSignal }): Promise<Readable> {
    return this.#tries(call, async () => {
      // The time limit ends with the headers, the caller's signal holds until the end of the body.
      const headersLimit = new AbortController();
      const timer = setTimeout(
        () => headersLimit.abort(new DOMException('no answer', 'TimeoutError')),
        this.#timeoutMs,
      );
      try {
        return await this.#timed(call, async () => {
          const answer = await this.#open(call, AbortSignal.any([call.signal, headersLimit.signal]));
          if (answer.status < 300) return { status: answer.status, value: answer.body };
          throw this.#failure(call, answer, parseJson(await answer.body.text()).value);
        });
      } finally {
        clearTimeout(timer);
      }
    });
  }

  async #open(call: ApiCall, signal: AbortSignal): Promise<Answer> {
    const access = await this.#options.access.current();
    const url = new URL(access.server);
    url.pathname = `${url.pathname.replace(/\/$/, '')}${call.path}`;
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const answer = await request(url, {
      dispatcher: access.dispatcher,
      method: call.method,
      signal,
      headers: {
        ...access.headers,
        accept: call.accept ?? 'application/json',
        ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    });
    const retryAfter = answer.headers['retry-after'];
    return {
      status: answer.statusCode,
      retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
      body: answer.body,
    };
  }

  /** The parsed text; throws KubeError for what is no success. */
  #success(call: ApiCall, answer: Answer, text: string): unknown {
    const parsed = parseJson(text);
    if (answer.status >= 200 && answer.status < 300 && parsed.ok) return parsed.value;
    if (answer.status < 300) {
      throw new KubeError('Unexpected', `${what(call)}: the answer is not JSON`, { status: answer.status });
    }
    throw this.#failure(call, answer, parsed.value);
  }

  #failure(call: ApiCall, answer: Answer, parsed: unknown): KubeError {
    return failureOf(what(call), {
      httpStatus: answer.status,
      retryAfter: answer.retryAfter,
      answer: parsed,
      wallMs: this.#options.clock.wallMs(),
    });
  }

  /** Counts and times one attempt and gives whatever went wrong below HTTP its KubeError. */
  async #timed<T>(call: ApiCall, act: () => Promise<{ status: number; value: T }>): Promise<T> {
    const { clock, metrics } = this.#options;
    const startedMs = clock.steadyMs();
    let code = 'none';
    try {
      const { status, value } = await act();
      code = String(status);
      return value;
    } catch (error) {
      if (error instanceof KubeError) {
        if (error.status > 0) code = String(error.status);
        throw error;
      }
      throw new KubeError('Unavailable', `${what(call)}: ${reasonOf(call, error)}`, { cause: error });
    } finally {
      const seconds = (clock.steadyMs() - startedMs) / 1_000;
      metrics.request({ verb: call.verb, resource: call.resource, code, seconds });
    }
  }

  /** Tries again what the server did not perform: 429 always, 503 and the like of a read. */
  async #tries<T>(call: ApiCall, attempt: () => Promise<T>): Promise<T> {
    const signal = call.signal ?? new AbortController().signal;
    for (let tried = 1; ; tried += 1) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        const reauthenticated = error.status === 401 && tried === 1;
        if (error.status === 401) this.#options.access.refused();
        if (tried >= TRIES || signal.aborted || !(reauthenticated || mayRepeat(call, error))) throw error;
        if ((error.retryAfterMs ?? 0) > LONGEST_WAIT_MS) throw error;
        const { clock, random } = this.#options;
        const jitterMs = backoffMs(tried, WAITS, random);
        if (!reauthenticated) await wait(clock, (error.retryAfterMs ?? 0) + jitterMs, signal);
        if (signal.aborted) throw error;
      }
    }
  }
}

function mayRepeat(call: ApiCall, error: KubeError): boolean {
  if (error.status === 429) return true;
  if (call.method !== 'GET') return false;
  return error.status === 503 || (error.status >= 500 && error.retryAfterMs !== null);
}

function what(call: ApiCall): string {
  return `${call.verb} ${call.subject}`;
}

/** Words for what happened below HTTP; the error itself is the cause. */
function reasonOf(call: ApiCall, error: unknown): string {
  if (call.signal?.aborted === true) return 'cancelled';
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
  return `no answer${code}`;
}

function parseJson(text: string): { ok: boolean; value: unknown } {
  try {
    return { ok: true, value: JSON.parse(text) as unknown };
  } catch {
    // A proxy's page or a cut body: what it says is not ours to repeat.
    return { ok: false, value: undefined };
  }
}
