/** A worker's end of the writer's port: commands out, answers in. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { MetadataError } from '../metadata.ts';
import { type CommandMessage, packCommand, QueueLoad, type ToClient } from './messages.ts';
import type { WriteCommand, WriteOperations } from './writeOperations.ts';

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: MetadataError) => void;
}

export class WriteClient {
  readonly #port: MessagePort;
  readonly #load: QueueLoad;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #closed = false;
  #onIdle: (() => void) | null = null;

  constructor(port: MessagePort) {
    const first: { message: ToClient } | undefined = receiveMessageOnPort(port);
    if (first?.message.kind !== 'greeting')
      throw new MetadataError('Unavailable', 'not a port of the metadata writer');
    this.#load = new QueueLoad(first.message);
    this.#port = port;
    port.on('message', (message: ToClient) => this.#receive(message));
    port.unref();
  }

  /**
   * Runs the operation in the writer and resolves to its result. 'Busy' at once when the queue is full. If the
   * writer dies the promise stays unsettled, and the process ends: nobody knows what was committed.
   */
  async send<Name extends keyof WriteOperations>(
    name: Name,
    ...args: Parameters<WriteOperations[Name]>
  ): Promise<ReturnType<WriteOperations[Name]>> {
    if (this.#closed) throw new MetadataError('Unavailable', 'the metadata client is closed');
    const { command, bytes } = packCommand({ name, args } as WriteCommand);
    this.#load.enter(bytes);
    const id = this.#nextId;
    this.#nextId += 1;
    const message: CommandMessage = { id, command, bytes };
    const result = await new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#port.ref();
      this.#port.postMessage(message);
    });
    return result as ReturnType<WriteOperations[Name]>;
  }

  /** Refuses new commands, waits for the answers of those under way, and closes the port. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    this.#port.close();
  }

  #receive(message: ToClient): void {
    if (message.kind !== 'answers') return;
    for (const { id, result, error } of message.answers) {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new MetadataError(error.code, error.message));
    }
    if (this.#waiting.size > 0) return;
    this.#port.unref();
    this.#onIdle?.();
  }
}
