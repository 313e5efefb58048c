/**
 * The load generator: a process of its own that speaks HTTP/1.1 on plain sockets over presigned URLs, so that it
 * hashes nothing, signs nothing and parses as little as it can: on two cores it must not be what is measured.
 */
import { connect, type Socket } from 'node:net';

/** One measurement. URLs are used round-robin, each connection starting at its own place. */
export interface LoadJob {
  readonly method: 'GET' | 'PUT';
  readonly urls: readonly string[];
  /** Of each PUT, or expected of each GET. */
  readonly bodyBytes: number;
  readonly concurrency: number;
  readonly durationMs: number;
  /** Every connection makes at least this many requests, however long they take. */
  readonly atLeast: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly elapsedMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What one read of a socket may bring. */
const READ_BYTES = 256 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');

/** One kept connection; answers are read until content-length bytes came. */
class Connection {
  #socket: Socket;
  #closing = false;
  readonly #host: string;
  readonly #port: number;
  #head: Buffer = Buffer.alloc(0);
  #bodyLeft = -1;
  #done: ((error: Error | null) => void) | null = null;
  readonly #expected: number;

  constructor(host: string, port: number, expectedBytes: number) {
    this.#expected = expectedBytes;
    this.#host = host;
    this.#port = port;
    this.#socket = this.#open();
  }

  #open(): Socket {
    // One buffer for all reads: new ones would keep the garbage collector busy, on the cores of the server.
    const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
    const socket = connect({
      host: this.#host,
      port: this.#port,
      noDelay: true,
      onread: {
        buffer,
        callback: (bytesRead) => {
          this.#read(buffer.subarray(0, bytesRead));
          return true;
        },
      },
    });
    socket.on('error', (error) => this.#finish(error));
    socket.on('close', () => this.#finish(new Error('the server closed the connection')));
    return socket;
  }

  request(head: Buffer, body: Buffer | null): Promise<void> {
    if (this.#closing) {
      // The server asked for another connection, to spread the load over its workers.
      this.close();
      this.#closing = false;
      this.#socket = this.#open();
    }
    return new Promise((resolve, reject) => {
      this.#done = (error) => (error === null ? resolve() : reject(error));
      this.#socket.cork();
      this.#socket.write(head);
      if (body !== null) this.#socket.write(body);
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#socket.removeAllListeners('close').destroy();
  }

  #finish(error: Error | null): void {
    const done = this.#done;
    this.#done = null;
    done?.(error);
  }

  #read(chunk: Buffer): void {
    let rest = chunk;
    if (this.#bodyLeft < 0) {
      this.#head = Buffer.concat([this.#head, chunk]);
      const end = this.#head.indexOf(HEAD_END);
      if (end < 0) return;
      const text = this.#head.toString('latin1', 0, end);
      rest = this.#head.subarray(end + HEAD_END.length);
      this.#head = Buffer.alloc(0);
      if (!text.startsWith('HTTP/1.1 200')) {
        this.#finish(new Error(`answer ${text.slice(0, 40)}: ${rest.toString('utf8').slice(0, 400)}`));
        return;
      }
      this.#closing = /\r\nconnection: close/i.test(text);
      this.#bodyLeft = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (this.#bodyLeft !== this.#expected) this.#finish(new Error(`a body of ${this.#bodyLeft} bytes`));
    }
    this.#bodyLeft -= rest.length;
    if (this.#bodyLeft > 0) return;
    this.#bodyLeft = -1;
    this.#finish(null);
  }
}

/** Runs one job to its end; rejects when any answer is not a 200 of the right length. */
async function run(job: LoadJob): Promise<LoadResult> {
  const body = job.method === 'PUT' ? Buffer.alloc(job.bodyBytes, 0x5a) : null;
  const heads = job.urls.map((text) => {
    const url = new URL(text);
    const length = body === null ? '' : `Content-Length: ${body.length}\r\n`;
    return Buffer.from(
      `${job.method} ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n${length}\r\n`,
    );
  });
  const { hostname, port } = new URL(job.urls[0] ?? '');
  const latencies: number[] = [];
  const started = performance.now();
  const until = started + job.durationMs;
  await Promise.all(
    Array.from({ length: job.concurrency }, async (_, index) => {
      const connection = new Connection(hostname, Number(port), body === null ? job.bodyBytes : 0);
      try {
        for (let i = 0; i < job.atLeast || performance.now() < until; i += 1) {
          const sent = performance.now();
          await connection.request(
            heads[(index + i * job.concurrency) % heads.length] ?? Buffer.alloc(0),
            body,
          );
          latencies.push(performance.now() - sent);
        }
      } finally {
        connection.close();
      }
    }),
  );
  const elapsedMs = performance.now() - started;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor((latencies.length - 1) * share)] ?? 0;
  return { requests: latencies.length, elapsedMs, p50Ms: at(0.5), p99Ms: at(0.99) };
}

process.on('message', (job: LoadJob) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ failure: String(error) }),
  );
});
