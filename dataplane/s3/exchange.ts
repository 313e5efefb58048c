/**
 * One HTTP request and its answer on the S3 port: continue, discard of refused bodies, error documents.
 *
 * Why not leave it to node:http: it would swallow a refused body without limit, and close a connection with unread
 * bytes so that the client sees a reset instead of the refusal.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ByteSink } from '../objects/bodyReader.ts';
import type { S3Error } from './errors.ts';
import { errorXml } from './xml/errorDocument.ts';
import { XML_DECLARATION } from './xml/writer.ts';

/** A refused body is read this far, for this long, so that the client sees the refusal; then the socket goes. */
export const DISCARD_LIMITS: DiscardLimits = { bytes: 16 * 1024 * 1024, ms: 2_000 };

export interface DiscardLimits {
  readonly bytes: number;
  readonly ms: number;
}

/** Headers of an XML answer. */
export const XML_CONTENT = { 'content-type': 'application/xml' } as const;

/** Work that takes longer than `afterMs` is answered at once with a 200, and a space every `everyMs`. */
export interface SlowAnswerTimes {
  readonly afterMs: number;
  readonly everyMs: number;
}

export type ResponseHeaders = Readonly<Record<string, string>>;

/** What an operation answers. With `stream` the head is sent with the first bytes, so that an early failure is still an error document. */
export interface S3Response {
  readonly status: number;
  readonly headers?: ResponseHeaders;
  readonly body?: string | Buffer;
  /** Writes exactly content-length bytes; false = the client went away. */
  readonly stream?: (sink: ByteSink) => Promise<boolean>;
}

export class Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly id: string;
  readonly receivedMs: number;
  /** Aborts when the client goes away before the answer is complete. */
  readonly signal: AbortSignal;
  bytesIn = 0;
  bytesOut = 0;
  /** True while nothing but the client can make progress: a silent one is timed out then. */
  waitingForClient = false;
  /** Ends the reception of the body with an error; set while a body is being received. */
  failBody: ((error: S3Error) => void) | null = null;
  /** The body turned out not to be HTTP; whoever begins to receive it must fail with this. */
  brokenBody: S3Error | null = null;
  readonly #continueExpected: boolean;
  #closing: () => boolean;
  readonly #slowAnswer: SlowAnswerTimes;
  readonly #discardLimits: DiscardLimits;
  #continued = false;
  /** The head of a 200 went out ahead of its document, which begins with the XML declaration. */
  #documentPending = false;

  constructor(
    req: IncomingMessage,
    res: ServerResponse,
    options: {
      readonly id: string;
      readonly receivedMs: number;
      readonly continueExpected: boolean;
      /** Whether the connection should end after this answer. */
      readonly closing: () => boolean;
      readonly slowAnswer: SlowAnswerTimes;
      readonly discardLimits: DiscardLimits;
    },
  ) {
    this.req = req;
    this.res = res;
    this.id = options.id;
    this.receivedMs = options.receivedMs;
    this.#continueExpected = options.continueExpected;
    this.#closing = options.closing;
    this.#slowAnswer = options.slowAnswer;
    this.#discardLimits = options.discardLimits;
    const gone = new AbortController();
    this.signal = gone.signal;
    res.once('close', () => {
      if (!res.writableFinished) gone.abort();
    });
  }

  /** From now on: the answer is the last one on this connection. */
  endConnection(): void {
    this.#closing = () => true;
  }

  /** Sends 100 Continue when the client waits for it: everything that can be checked before the body was. */
  acceptBody(): void {
    if (this.#continueExpected && !this.#continued) this.res.writeContinue();
    this.#continued = true;
  }

  /** No more of the body can be read: ends its reception, now or when it begins. A refusal can still be answered. */
  breakBody(error: S3Error): void {
    this.brokenBody ??= error;
    this.failBody?.(this.brokenBody);
  }

  get headSent(): boolean {
    return this.res.headersSent;
  }

  /** Whether an answer, or an error document, can still be sent. */
  get canAnswer(): boolean {
    return !this.res.headersSent || this.#documentPending;
  }

  /**
   * Runs work whose answer is an XML document with status 200. When it takes long the client gets the head and white
   * space meanwhile, and then the document, or that of an error, as AWS does for copies and CompleteMultipartUpload.
   */
  async answerSlowly<T>(headers: ResponseHeaders, work: () => Promise<T>): Promise<T> {
    const space = (): void => {
      if (this.signal.aborted) return;
      if (this.#documentPending) this.res.write(' ');
      else {
        this.#head(200, { ...headers, ...XML_CONTENT }, this.#bodyUnread());
        this.res.write(XML_DECLARATION);
        this.#documentPending = true;
      }
      timer = setTimeout(space, this.#slowAnswer.everyMs);
    };
    let timer = setTimeout(space, this.#slowAnswer.afterMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  async respond(response: S3Response): Promise<void> {
    if (response.stream !== undefined) {
      await this.#stream(response.status, response.headers ?? {}, response.stream);
      return;
    }
    const body = Buffer.from(response.body ?? '');
    const headers: Record<string, string> = { ...response.headers };
    const bodiless = response.status === 204 || response.status === 304;
    if (!bodiless && headers['content-length'] === undefined) headers['content-length'] = String(body.length);
    await this.#finish(response.status, headers, body);
  }

  async respondError(error: S3Error, resource: string): Promise<void> {
    const headers: Record<string, string> = { ...error.headers };
    if (error.retryAfterSeconds !== undefined) headers['retry-after'] = String(error.retryAfterSeconds);
    const bodiless = error.status === 304 || this.req.method === 'HEAD';
    const body = Buffer.from(bodiless ? '' : errorXml(error, resource, this.id));
    if (!bodiless) headers['content-type'] = 'application/xml';
    if (error.status !== 304) headers['content-length'] = String(body.length);
    await this.#finish(error.status, headers, body);
  }

  /** Cuts the connection: what was sent must not look complete. */
  destroy(): void {
    this.res.destroy();
  }

  #head(status: number, headers: ResponseHeaders, unread: boolean): void {
    const all: Record<string, string> = { 'x-amz-request-id': this.id, server: 'Sealgate', ...headers };
    if (unread || this.#closing()) all['connection'] = 'close';
    this.res.writeHead(status, all);
  }

  async #finish(status: number, headers: ResponseHeaders, document: Buffer): Promise<void> {
    const { req, res } = this;
    if (this.signal.aborted) return;
    const unread = this.#bodyUnread();
    const body = this.#documentPending ? document.subarray(XML_DECLARATION.length) : document;
    if (!this.#documentPending) this.#head(status, headers, unread);
    this.#documentPending = false;
    this.bytesOut += body.length;
    if (!unread) {
      await this.#end(body);
      return;
    }
    if (body.length > 0) res.write(body);
    else res.flushHeaders();
    await discard(req, this.#discardLimits);
    res.end();
    if (!req.complete) req.socket.destroySoon();
  }

  #bodyUnread(): boolean {
    const { headers, complete } = this.req;
    if (complete) return false;
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  }

  async #stream(
    status: number,
    headers: ResponseHeaders,
    stream: (sink: ByteSink) => Promise<boolean>,
  ): Promise<void> {
    const unread = this.#bodyUnread();
    const sink = { write: (chunks: readonly Uint8Array[]) => this.#write(status, headers, unread, chunks) };
    const complete = await stream(sink);
    if (!complete || this.signal.aborted) {
      this.destroy();
      return;
    }
    if (!this.res.headersSent) this.#head(status, headers, unread);
    await this.#end(Buffer.alloc(0));
  }

  /** The last bytes: resolves when the client's side of the network has them, or it is gone. */
  async #end(body: Buffer): Promise<void> {
    this.waitingForClient = true;
    await new Promise<void>((resolve) => {
      this.res.once('close', resolve);
      this.res.end(body, resolve);
    });
    this.waitingForClient = false;
  }

  #write(
    status: number,
    headers: ResponseHeaders,
    unread: boolean,
    chunks: readonly Uint8Array[],
  ): Promise<boolean> {
    const { res, signal } = this;
    if (signal.aborted) return Promise.resolve(false);
    if (!res.headersSent) this.#head(status, headers, unread);
    return new Promise<boolean>((resolve) => {
      const gone = (): void => resolve(false);
      signal.addEventListener('abort', gone, { once: true });
      this.waitingForClient = true;
      res.cork();
      let left = chunks.length;
      let failed = false;
      for (const chunk of chunks) {
        this.bytesOut += chunk.length;
        res.write(chunk, (error) => {
          // Whoever gets a true frees the chunks' memory.
          if (error) failed = true;
          left -= 1;
          if (left > 0) return;
          this.waitingForClient = false;
          signal.removeEventListener('abort', gone);
          resolve(!failed && !signal.aborted);
        });
      }
      res.uncork();
    });
  }
}

/** Reads and forgets what the client still sends, within the limits. */
async function discard(req: IncomingMessage, limits: DiscardLimits): Promise<void> {
  // Nothing more can come.
  if (req.destroyed || req.socket.readableEnded) return;
  await new Promise<void>((resolve) => {
    let bytes = 0;
    const done = (): void => {
      clearTimeout(timer);
      req.off('data', onData).off('end', done).off('close', done).off('error', done);
      req.pause();
      resolve();
    };
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > limits.bytes) done();
    };
    const timer = setTimeout(done, limits.ms);
    req.on('data', onData).on('end', done).on('close', done).on('error', done);
    req.resume();
  });
}
