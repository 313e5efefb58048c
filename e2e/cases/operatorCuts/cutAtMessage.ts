/**
 * Loaded into an operator's process before its main module: kills or stops that process at a message that it is told.
 *
 * Messages are the HTTP requests to the API server and to the admin port, as undici tells them: before one is sent, or
 * after its answer has come and before anybody was handed it. Not counted is what no reconcile sends: leases, events
 * and watches. An order is taken when the process has been quiet for a moment: what came before it is then done. The
 * other end is CutStage.
 */
import { subscribe } from 'node:diagnostics_channel';
import { type CutAnswer, type CutOrder, cutOrder } from './cutOrder.ts';

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly origin: string;
}

function isSent(value: unknown): value is Sent {
  return typeof value === 'object' && value !== null && 'method' in value && 'path' in value;
}

/** undici's word on a request; null: it is none that counts. */
function sentOf(message: unknown): Sent | null {
  if (typeof message !== 'object' || message === null || !('request' in message)) return null;
  const { request } = message;
  if (!isSent(request)) return null;
  return /\/leases|\/events|[?&]watch=/.test(request.path) ? null : request;
}

/** As long as this nothing was under way: no reconcile goes on, for each sends its messages one after another. */
const QUIET_MS = 150;

class Cut {
  #order: CutOrder = { step: null, side: 'before', signal: 'SIGKILL' };
  #messages: string[] = [];
  readonly #underWay = new Map<Sent, number>();
  #quiet: (() => void) | null = null;
  #timer: NodeJS.Timeout | null = null;

  async obey(order: CutOrder): Promise<CutAnswer> {
    await new Promise<void>((resolve) => {
      this.#quiet = resolve;
      this.#watch();
    });
    const messages = this.#messages;
    this.#messages = [];
    this.#order = order;
    return { messages };
  }

  sending(sent: Sent): void {
    const step = this.#messages.push(`${sent.method} ${sent.path.split('?')[0]}`);
    if (this.#order.side === 'before' && this.#order.step === step) this.#cut();
    this.#underWay.set(sent, step);
    this.#watch();
  }

  answered(sent: Sent): void {
    if (this.#order.side === 'after' && this.#order.step === this.#underWay.get(sent)) this.#cut();
    this.ended(sent);
  }

  ended(sent: Sent): void {
    this.#underWay.delete(sent);
    this.#watch();
  }

  #cut(): void {
    process.kill(process.pid, this.#order.signal);
  }

  #watch(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    const { size } = this.#underWay;
    this.#timer = size > 0 || this.#quiet === null ? null : setTimeout(this.#quiet, QUIET_MS);
  }
}

const cut = new Cut();

/** Tells of every message that counts. */
function on(word: string, told: (sent: Sent) => void): void {
  subscribe(`undici:request:${word}`, (message) => {
    const sent = sentOf(message);
    if (sent !== null) told(sent);
  });
}

on('create', (sent) => cut.sending(sent));
on('trailers', (sent) => cut.answered(sent));
on('error', (sent) => cut.ended(sent));
process.on('message', (message) => {
  void cut.obey(cutOrder.parse(message)).then((answer) => process.send?.(answer));
});
