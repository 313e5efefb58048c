/** One client's TLS connection to the scripted server: requests one after another, each as its script says. */
import type { TLSSocket } from 'node:tls';
import { answer, type ReadRequest, type RecordedRequest, readRequest, refuseMessage } from './messages.ts';
import { REASON } from './numbers.ts';
import type { Context } from './operations.ts';
import type { Chosen, Script } from './script.ts';
import { MessageCutter, WireError } from './wire.ts';

/** What a connection needs of its server. */
export interface LinkHost {
  readonly script: Script;
  readonly credential: { readonly username: string; readonly password: string } | null;
  record(request: RecordedRequest): void;
  context(user: string): Context;
}

export class Link {
  #socket: TLSSocket;
  #number: number;
  #reset: () => void;
  #host: LinkHost;
  #user: string;
  #cutter = new MessageCutter();
  /** Requests of one connection are answered in order. */
  #turn: Promise<void> = Promise.resolve();

  /** `number` counts the server's connections; `reset` ends this one with a TCP reset. */
  constructor(
    socket: TLSSocket,
    { number, reset }: { readonly number: number; readonly reset: () => void },
    host: LinkHost,
  ) {
    this.#socket = socket;
    this.#number = number;
    this.#reset = reset;
    this.#host = host;
    const { CN } = socket.getPeerCertificate().subject;
    this.#user = typeof CN === 'string' ? CN : '';
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  #receive(chunk: Buffer): void {
    let messages: Buffer[];
    try {
      messages = this.#cutter.push(chunk);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#socket.destroy();
      return;
    }
    for (const message of messages) {
      this.#turn = this.#turn
        .then(async () => await this.#serve(message))
        .catch((error: unknown) => {
          this.#socket.destroy(error instanceof Error ? error : new Error('scripted KMS', { cause: error }));
        });
    }
  }

  async #serve(message: Buffer): Promise<void> {
    if (this.#socket.destroyed) return;
    let request: ReadRequest;
    try {
      request = readRequest(message);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#record(null, []);
      await this.#write(refuseMessage(this.#context, REASON.invalidMessage, error.message));
      return;
    }
    const script = this.#host.script.forMessage(request.items);
    const hang = script.get('hang');
    const before = script.get('cutBeforeRequest');
    if (before !== undefined || (hang !== undefined && hang.executed !== true)) {
      this.#record(request, []);
      if (before !== undefined) this.#end(before.reset);
      return;
    }
    const right = this.#carryOut(request);
    if (hang !== undefined) return;
    await this.#send(right, script);
  }

  get #context(): Context {
    return this.#host.context(this.#user);
  }

  #carryOut(request: ReadRequest): Buffer {
    const { credential } = this.#host;
    if (
      credential !== null &&
      (request.credential?.username !== credential.username ||
        request.credential.password !== credential.password)
    ) {
      this.#record(request, [REASON.authenticationNotSuccessful]);
      return refuseMessage(this.#context, REASON.authenticationNotSuccessful, 'wrong user or password');
    }
    const { message, results } = answer(request, this.#context, this.#host.script);
    this.#record(request, results);
    return message;
  }

  /** Sends the right answer in the way that the script wants it. */
  async #send(right: Buffer, script: Chosen): Promise<void> {
    const delay = script.get('delay');
    if (delay !== undefined) await this.#wait(delay.ms);
    await script.get('hold')?.until;
    const other = script.get('bytes')?.answer;
    const single = other === undefined ? right : typeof other === 'function' ? other(right) : other;
    const bytes = script.get('merge') === undefined ? single : Buffer.concat([single, single]);
    const cut = script.get('cutAfter');
    const sizes = script.get('split')?.sizes ?? [bytes.length];
    const whole = cut === undefined ? bytes : bytes.subarray(0, cut.bytes);
    for (let at = 0, turn = 0; at < whole.length; turn += 1) {
      const size = Math.max(1, sizes[turn % sizes.length] ?? 1);
      await this.#write(whole.subarray(at, at + size));
      at += size;
    }
    if (cut !== undefined) this.#end(cut.reset);
  }

  /** Resolves when the bytes have left, or the connection is gone. */
  async #write(bytes: Buffer): Promise<void> {
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      this.#socket.write(bytes, () => resolve());
    });
  }

  async #wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #end(reset: boolean | undefined): void {
    if (reset === true) this.#reset();
    else this.#socket.destroy();
  }

  #record(request: ReadRequest | null, results: readonly RecordedRequest['result'][]): void {
    const common = {
      version: request?.version ?? '',
      user: this.#user,
      credentialUser: request?.credential?.username ?? null,
      connection: this.#number,
      atMs: performance.now(),
    };
    if (request === null) {
      this.#host.record({ ...common, operation: 'Unreadable', kmsId: null, kmsName: null, result: null });
    }
    for (const [index, { operation, kmsId, kmsName }] of request?.items.entries() ?? []) {
      this.#host.record({
        ...common,
        operation: operation ?? 'Unknown',
        kmsId,
        kmsName,
        result: results[index] ?? null,
      });
    }
  }
}
