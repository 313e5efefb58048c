/** Kept connections to one endpoint: at most a few, each used by one request at a time; further requests queue. */
import type { Clock } from '../clock.ts';
import type { Connect, KmipConnection } from './connection.ts';
import { KmipError } from './errors.ts';

/** KMIP 1-4 kept connections per endpoint; two serve thousands of keys with a cache in front. */
const CONNECTION_LIMIT = 2;

interface Waiting {
  readonly go: () => void;
  readonly giveUp: (why: KmipError) => void;
  readonly cancelLimit: () => void;
}

export class ConnectionPool {
  #connect: Connect;
  #clock: Clock;
  #connectMs: number;
  #idle: KmipConnection[] = [];
  #busy = new Set<KmipConnection>();
  #slotsTaken = 0;
  #waiting: Waiting[] = [];
  #closed = false;

  constructor(connect: Connect, clock: Clock, connectMs: number) {
    this.#connect = connect;
    this.#clock = clock;
    this.#connectMs = connectMs;
  }

  /**
   * Runs one exchange on a kept or a new connection. `deadlineMs` is on the clock's scale and covers waiting for a
   * free connection, connecting and the answer. `fresh` asks for a new connection; `connected` hears whether it is a
   * kept one. Rejects with KmipError, 'Busy' when no connection became free in time.
   */
  async exchange(
    request: Buffer,
    limits: { readonly requestMs: number; readonly deadlineMs: number; readonly fresh: boolean },
    connected: (connection: KmipConnection, kept: boolean) => void,
  ): Promise<Buffer> {
    try {
      await this.#slot(limits.deadlineMs);
      try {
        const { connection, kept } = await this.#acquire(limits);
        connected(connection, kept);
        this.#busy.add(connection);
        try {
          return await connection.exchange(request, this.#within(limits.requestMs, limits.deadlineMs));
        } finally {
          this.#busy.delete(connection);
          if (connection.usable && !this.#closed) this.#idle.push(connection);
          else connection.destroy();
        }
      } finally {
        this.#release();
      }
    } catch (error) {
      request.fill(0);
      throw error;
    }
  }

  /** Destroys the kept connections that are not in use: after one failed, the others are suspect. */
  dropIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  /** Fails the requests that wait for a connection; those that have one go on. */
  giveUp(why: string): void {
    for (const waiting of this.#waiting.splice(0)) {
      waiting.giveUp(new KmipError('Connection', why, { sent: false }));
    }
  }

  /** No new requests; those under way finish, then their connections are closed. */
  close(): void {
    this.#closed = true;
    this.dropIdle();
  }

  /** Ends everything now. */
  destroy(): void {
    this.close();
    for (const connection of this.#busy) connection.destroy();
  }

  async #slot(deadlineMs: number): Promise<void> {
    if (this.#closed) throw new KmipError('Connection', 'the connection is being closed', { sent: false });
    if (this.#slotsTaken < CONNECTION_LIMIT) {
      this.#slotsTaken += 1;
    } else {
      await new Promise<void>((resolve, reject) => {
        const waiting: Waiting = {
          go: () => {
            waiting.cancelLimit();
            resolve();
          },
          cancelLimit: this.#clock.schedule(Math.max(0, deadlineMs - this.#clock.now()), () => {
            this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
            reject(new KmipError('Busy', 'no free connection in time', { sent: false }));
          }),
          giveUp: (why) => {
            waiting.cancelLimit();
            reject(why);
          },
        };
        this.#waiting.push(waiting);
      });
    }
  }

  /** The slot goes to the request that has waited longest, or becomes free. */
  #release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#slotsTaken -= 1;
    else next.go();
  }

  async #acquire({ deadlineMs, fresh }: { deadlineMs: number; fresh: boolean }): Promise<{
    readonly connection: KmipConnection;
    readonly kept: boolean;
  }> {
    const connection = fresh ? undefined : this.#keptConnection();
    if (connection !== undefined) return { connection, kept: true };
    return { connection: await this.#connect(this.#within(this.#connectMs, deadlineMs)), kept: false };
  }

  /** The kept connection that was used last, of those that the server has not closed. */
  #keptConnection(): KmipConnection | undefined {
    this.#idle = this.#idle.filter((connection) => connection.usable);
    return this.#idle.pop();
  }

  /** The limit, cut to what is left until the deadline. */
  #within(limitMs: number, deadlineMs: number): number {
    return Math.max(1, Math.min(limitMs, deadlineMs - this.#clock.now()));
  }
}
