/** What travels between the clients and the writer thread. */
import { MetadataError, type MetadataErrorCode } from '../metadata.ts';
import type { WriteCommand } from './writeOperations.ts';

/** First message on a client's port, put there before the client gets it. */
export interface Greeting {
  readonly kind: 'greeting';
  /** Load of the queue, shared by all clients and the writer: see QueueLoad. */
  readonly load: SharedArrayBuffer;
  readonly maxCommands: number;
  readonly maxBytes: number;
}

export interface CommandMessage {
  readonly id: number;
  readonly command: WriteCommand;
  /** What the command counts for in the queue's bound. */
  readonly bytes: number;
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: MetadataErrorCode; readonly message: string };
}

/** The answers of one group to one client: each message wakes a thread, which costs more than the message. */
export interface AnswersMessage {
  readonly kind: 'answers';
  readonly answers: readonly Answer[];
}

export type ToClient = Greeting | AnswersMessage;

/** Bytes that a command weighs beyond the byte strings in it. */
const commandOverheadBytes = 512;

/**
 * The queue's bound by count and by bytes, kept where clients can ask before they send: while the writer waits for
 * the disk, nothing else could stop messages from piling up in memory.
 */
export class QueueLoad {
  readonly #cells: Int32Array;
  readonly #maxCommands: number;
  readonly #maxBytes: number;

  constructor(greeting: Pick<Greeting, 'load' | 'maxCommands' | 'maxBytes'>) {
    this.#cells = new Int32Array(greeting.load);
    this.#maxCommands = greeting.maxCommands;
    this.#maxBytes = greeting.maxBytes;
  }

  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  }

  /** MetadataError 'Busy' when the queue is full. A single command larger than the bound passes an empty queue. */
  enter(bytes: number): void {
    const commands = Atomics.add(this.#cells, 0, 1);
    const queued = Atomics.add(this.#cells, 1, bytes);
    if (commands < this.#maxCommands && (queued === 0 || queued + bytes <= this.#maxBytes)) return;
    this.leave(bytes);
    throw new MetadataError('Busy', 'the metadata queue is full');
  }

  leave(bytes: number): void {
    Atomics.sub(this.#cells, 0, 1);
    Atomics.sub(this.#cells, 1, bytes);
  }

  get commands(): number {
    return Atomics.load(this.#cells, 0);
  }

  get bytes(): number {
    return Atomics.load(this.#cells, 1);
  }
}

/**
 * The command with byte strings of its own. Structured clone copies the whole ArrayBuffer behind a view, which for a
 * pooled Buffer is 64 KiB of other requests' bytes.
 */
export function packCommand(command: WriteCommand): {
  readonly command: WriteCommand;
  readonly bytes: number;
} {
  const weight = { bytes: commandOverheadBytes };
  const packed = pack(command, weight) as WriteCommand;
  return { command: packed, bytes: weight.bytes };
}

function pack(value: unknown, weight: { bytes: number }): unknown {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Uint8Array) {
    weight.bytes += value.byteLength;
    return value.byteLength === value.buffer.byteLength ? value : Uint8Array.prototype.slice.call(value);
  }
  if (Array.isArray(value)) return value.map((entry: unknown) => pack(entry, weight));
  const packed: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) packed[name] = pack(field, weight);
  return packed;
}
