/**
 * An API server over loopback HTTP that shows faults which a real one cannot be made to show: expired versions as a
 * status and as an event, watches that break off or fall silent, refusals on demand. It keeps objects as they come,
 * checks nothing and knows no kinds.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { FakeStore, type StoredObject } from './fakeStore.testkit.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** Instead of the answer: a status (with a Status body unless `body` is given), an end of the connection, or silence. */
export type Fault =
  | {
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Record<string, string>;
      readonly body?: string;
      readonly details?: object;
      /** The request is carried out all the same. */
      readonly performed?: boolean;
    }
  | 'drop'
  | 'hang';

interface Watcher {
  readonly response: ServerResponse;
  readonly collection: string;
  /** Nothing is sent to it any more, and it is not ended: the half-open connection. */
  silent: boolean;
}

const patchMeta = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string().optional() }).optional(),
});

export class FakeApiServer {
  readonly store = new FakeStore();
  readonly seen: SeenRequest[] = [];
  readonly #server: Server;
  readonly #watchers = new Set<Watcher>();
  readonly #faults: { matches: (request: SeenRequest) => boolean; fault: Fault; left: number }[] = [];
  readonly #arrivals: {
    matches: (request: SeenRequest) => boolean;
    resolve: (request: SeenRequest) => void;
  }[] = [];
  /** Awaited before each page of a list. */
  beforePage: (request: SeenRequest) => Promise<void> = () => Promise.resolve();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    this.store.onChange = (type, collection, object) => this.#send(collection, { type, object });
  }

  static async start(): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The next `times` requests that match get this. */
  fail(matches: (request: SeenRequest) => boolean, fault: Fault, times = 1): void {
    this.#faults.push({ matches, fault, left: times });
  }

  /** Resolves with the next request that matches. */
  arrival(matches: (request: SeenRequest) => boolean): Promise<SeenRequest> {
    return new Promise((resolve) => this.#arrivals.push({ matches, resolve }));
  }

  get watches(): number {
    return this.#watchers.size;
  }

  /** Sends a bookmark with the newest version to all watches. */
  bookmark(): void {
    const object = { kind: 'X', metadata: { resourceVersion: this.store.version } };
    for (const watcher of this.#watchers) this.#write(watcher, { type: 'BOOKMARK', object });
  }

  /** Ends all watches in order. */
  endWatches(): void {
    for (const watcher of this.#watchers) watcher.response.end();
  }

  /** Cuts the connections of all watches, in the middle of a line when `text` is one. */
  dropWatches(text = ''): void {
    for (const watcher of this.#watchers) {
      watcher.silent = true;
      watcher.response.write(text, () => watcher.response.destroy());
    }
  }

  /** All watches of now stay open and hear nothing more. */
  silenceWatches(): void {
    for (const watcher of this.#watchers) watcher.silent = true;
  }

  /** An ERROR event to all watches, silent ones too, then their end. */
  errorWatches(code: number, reason: string): void {
    const object = { kind: 'Status', status: 'Failure', code, reason };
    for (const { response } of this.#watchers) {
      response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const url = new URL(request.url ?? '/', 'http://x');
    const text = Buffer.concat(chunks).toString('utf8');
    const seen: SeenRequest = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    };
    this.seen.push(seen);
    const arrived = this.#arrivals.filter(({ matches }) => matches(seen));
    for (const arrival of arrived) {
      this.#arrivals.splice(this.#arrivals.indexOf(arrival), 1);
      arrival.resolve(seen);
    }
    const planned = this.#faults.find(({ matches, left }) => left > 0 && matches(seen));
    if (planned !== undefined) {
      planned.left -= 1;
      this.#misbehave(planned.fault, seen, response);
      return;
    }
    await this.#answer(seen, response);
  }

  #misbehave(fault: Fault, seen: SeenRequest, response: ServerResponse): void {
    if (fault === 'hang') return;
    if (fault === 'drop') {
      response.destroy();
      return;
    }
    if (fault.performed === true) this.#change(seen);
    const status = {
      kind: 'Status',
      code: fault.status,
      reason: fault.reason ?? '',
      message: 'quotes tell-nobody',
    };
    response.writeHead(fault.status, { 'content-type': 'application/json', ...fault.headers });
    response.end(fault.body ?? JSON.stringify({ ...status, details: fault.details }));
  }

  async #answer(seen: SeenRequest, response: ServerResponse): Promise<void> {
    if (seen.method !== 'GET') {
      this.#reply(response, this.#change(seen));
      return;
    }
    if (seen.query.get('watch') === 'true') {
      this.#watch(seen, response);
      return;
    }
    if (this.store.isObject(seen.path)) {
      this.#reply(response, this.store.get(seen.path) ?? 'NotFound');
      return;
    }
    await this.beforePage(seen);
    const page = this.store.page(
      seen.path,
      Number(seen.query.get('limit') ?? '500'),
      seen.query.get('continue') ?? '',
      seen.query.get('labelSelector') ?? '',
    );
    this.#reply(response, page ?? 'Expired');
  }

  #change({ method, path, body, headers }: SeenRequest): StoredObject | object | string {
    if (method === 'POST') return this.store.create(path, body);
    if (method === 'DELETE') {
      const { preconditions } = z
        .looseObject({ preconditions: z.record(z.string(), z.string()).optional() })
        .parse(body ?? {});
      return this.store.remove(path, preconditions ?? {});
    }
    const applied = headers['content-type'] === 'application/apply-patch+yaml';
    const version = patchMeta.parse(body).metadata?.resourceVersion;
    return this.store.patch(path, body, { version, create: applied });
  }

  #reply(response: ServerResponse, result: object | string): void {
    const statuses: Record<string, number> = {
      NotFound: 404,
      AlreadyExists: 409,
      Conflict: 409,
      Expired: 410,
    };
    const status = typeof result === 'string' ? (statuses[result] ?? 500) : 200;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(typeof result === 'string' ? { kind: 'Status', code: status, reason: result } : result),
    );
  }

  #watch(seen: SeenRequest, response: ServerResponse): void {
    const since = this.store.since(seen.path, seen.query.get('resourceVersion') ?? '');
    if (since === null) {
      this.#reply(response, 'Expired');
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    const watcher: Watcher = { response, collection: seen.path, silent: false };
    this.#watchers.add(watcher);
    response.on('close', () => this.#watchers.delete(watcher));
    for (const event of since) this.#write(watcher, event);
  }

  #send(collection: string, event: object): void {
    for (const watcher of this.#watchers) {
      if (this.store.covers(watcher.collection, collection)) this.#write(watcher, event);
    }
  }

  #write(watcher: Watcher, event: object): void {
    if (!watcher.silent) watcher.response.write(`${JSON.stringify(event)}\n`);
  }
}
