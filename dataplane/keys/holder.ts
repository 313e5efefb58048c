/**
 * The main thread's side of the key-holder thread: starts it, gives every worker a port to it, and asks it for status
 * and metrics. No key passes through the main thread.
 */
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { KmsConnectionStatus } from './connections.ts';
import { KmsError } from './keys.ts';
import {
  type ControlMessage,
  type ControlRequest,
  type LogFields,
  type LogLevel,
  reviveError,
} from './messages.ts';
import type { MetricsJson } from './metrics.ts';
import type { KmsConnectionSettings } from './settings.ts';

/** Where the thread's log lines go; pino's logger is one. */
export type KeyLogger = Readonly<Record<LogLevel, (fields: LogFields, message: string) => void>>;

export interface KeyHolderOptions {
  readonly connections: readonly KmsConnectionSettings[];
  readonly logger: KeyLogger;
}

export interface KeyHolder {
  /** A port for one worker; transfer it, and give it to connectKeyProvider there. */
  connect(): MessagePort;
  /** Connections, their endpoints and the states of these; with a name of that one alone, or of none. */
  status(connection?: string): Promise<readonly KmsConnectionStatus[]>;
  /** The `sealgate_kms_*` metrics as prom-client's JSON. */
  metrics(): Promise<MetricsJson>;
  /** Takes over new settings; see KmsConnections.update. Rejects with KmsError 'Refused', with nothing changed. */
  updateConnections(connections: readonly KmsConnectionSettings[]): Promise<void>;
  /** Forgets the cached keys of a connection, in the workers too. Rejects with KmsError 'UnknownConnection'. */
  flush(connection: string): Promise<void>;
  /** Ends the thread; workers' calls fail as Unavailable from then on. */
  close(): Promise<void>;
  /** Resolves with the reason if the thread ends by itself; never rejects. Without it no encrypted bucket works. */
  readonly onDeath: Promise<Error>;
}

type Question = ControlRequest extends infer R
  ? R extends { readonly id: number }
    ? Omit<R, 'id'>
    : never
  : never;

/**
 * Starts the thread and gives it its connections. Does not wait for a KMS to answer: plain buckets work without one.
 * Rejects with KmsError 'Refused' when the settings cannot be used.
 */
export async function startKeyHolder(
  { connections, logger }: KeyHolderOptions,
  startThread: () => Worker = () =>
    new Worker(new URL('./holderThread.ts', import.meta.url), { name: 'key-holder' }),
): Promise<KeyHolder> {
  const thread = startThread();
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  let ended = false;

  const onDeath = new Promise<Error>((resolve) => {
    const end = (error: Error) => {
      for (const { reject } of waiting.values()) {
        reject(new KmsError('Unavailable', 'the key holder has ended', { cause: error, maybeDone: true }));
      }
      waiting.clear();
      if (!ended) resolve(error);
      ended = true;
    };
    thread.once('error', (error) => end(error instanceof Error ? error : new Error('the key holder failed')));
    thread.once('exit', (code) => end(new Error(`the key holder ended with exit code ${code}`)));
  });
  thread.on('message', (message: ControlMessage) => {
    if (message.kind === 'log') {
      logger[message.level](message.fields, message.message);
      return;
    }
    const asker = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.kind === 'answer') asker?.resolve(message.value);
    else asker?.reject(reviveError(message.error));
  });

  const ask = async <T>(question: Question): Promise<T> => {
    if (ended) throw new KmsError('Unavailable', 'the key holder has ended');
    lastId += 1;
    const id = lastId;
    return await new Promise<T>((resolve, reject) => {
      // The thread is our own code: an answer to a kind of question has that question's type.
      waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      thread.postMessage({ ...question, id });
    });
  };
  const close = async (): Promise<void> => {
    if (ended) return;
    await ask({ kind: 'close' });
    ended = true;
    await thread.terminate();
  };

  try {
    await ask({ kind: 'update', connections });
  } catch (error) {
    ended = true;
    await thread.terminate();
    throw error;
  }
  return {
    connect: () => {
      const { port1, port2 } = new MessageChannel();
      const request: ControlRequest = { kind: 'connect', port: port1 };
      thread.postMessage(request, [port1]);
      return port2;
    },
    status: async (connection) => await ask({ kind: 'status', connection: connection ?? null }),
    metrics: async () => await ask({ kind: 'metrics' }),
    updateConnections: async (changed) => await ask({ kind: 'update', connections: changed }),
    flush: async (connection) => await ask({ kind: 'flush', connection }),
    close,
    onDeath,
  };
}
