/**
 * The worker's side of the key-holder thread: a KeyProvider that keeps the keys it was lent for as long as the holder
 * allows and drops them when the holder says so. It decides nothing about rights.
 */
import type { KeyObject } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import type { KeyGrant } from './cache.ts';
import { type KeyProvider, type KeyRef, KmsError } from './keys.ts';
import {
  reviveError,
  type WorkerAnswers,
  type WorkerMessage,
  type WorkerRequest,
  type WorkerTally,
} from './messages.ts';

/** As many keys as one worker remembers; the holder has them all. */
const KEY_LIMIT = 10_000;

interface LentKey {
  readonly kmsId: string;
  readonly connection: string;
  readonly key: KeyObject;
  readonly writable: boolean;
  readonly freshUntilMs: number;
  readonly usableUntilMs: number;
  asking: boolean;
}

type Question<K> =
  Extract<WorkerRequest, { readonly kind: K }> extends infer R ? Omit<R, 'id' | 'kind'> : never;

/** Joins a worker to the key holder. `nowMs` is a scale that never goes back. */
export function connectKeyProvider(
  port: MessagePort,
  nowMs: () => number = () => performance.now(),
): KeyProvider & { close(): void } {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: KmsError) => void }>();
  const lent = new Map<string, LentKey>();
  const servedByConnection = new Map<string, number>();
  let lastId = 0;
  let closed = false;

  /** `answered` runs in the turn of the answer itself, so that a following 'evict' finds what it did. */
  const ask = async <K extends keyof WorkerAnswers>(
    kind: K,
    question: Question<K>,
    answered: (value: WorkerAnswers[K]) => void = () => {},
  ): Promise<WorkerAnswers[K]> => {
    if (closed) throw new KmsError('Unavailable', 'the key holder has ended');
    lastId += 1;
    const id = lastId;
    return await new Promise<WorkerAnswers[K]>((resolve, reject) => {
      const receive = (value: WorkerAnswers[K]) => {
        answered(value);
        resolve(value);
      };
      // The holder is our own code: an answer to a kind of question has that kind's type.
      waiting.set(id, { resolve: (value) => receive(value as WorkerAnswers[K]), reject });
      if (waiting.size === 1) port.ref();
      port.postMessage({ ...question, kind, id });
    });
  };
  const settle = (id: number) => {
    const asker = waiting.get(id);
    waiting.delete(id);
    // An idle port must not keep a worker alive that has nothing else to do.
    if (waiting.size === 0) port.unref();
    return asker;
  };

  port.on('message', (message: WorkerMessage) => {
    if (message.kind === 'answer') settle(message.id)?.resolve(message.value);
    else if (message.kind === 'failure') settle(message.id)?.reject(reviveError(message.error));
    else if (message.kind === 'tally') {
      for (const [connection, uses] of servedByConnection) {
        const tally: WorkerTally = { kind: 'served', connection, uses };
        port.postMessage(tally);
      }
      servedByConnection.clear();
    } else {
      for (const [id, { connection, kmsId }] of lent) {
        if (connection === message.connection && (message.kmsId === null || kmsId === message.kmsId))
          lent.delete(id);
      }
    }
  });
  port.on('close', () => {
    closed = true;
    lent.clear();
    for (const { reject } of waiting.values()) {
      reject(new KmsError('Unavailable', 'the key holder has ended', { maybeDone: true }));
    }
    waiting.clear();
  });
  port.unref();

  const askForKey = async ({ connection, kmsId, keyCheckValue }: KeyRef): Promise<KeyGrant> => {
    const id = JSON.stringify([connection, kmsId, keyCheckValue]);
    return await ask('key', { connection, kmsId, keyCheckValue }, (grant) => {
      const answeredMs = nowMs();
      if (grant.usableForMs <= 0) return;
      if (lent.size >= KEY_LIMIT) lent.clear();
      lent.set(id, {
        connection,
        kmsId,
        key: grant.key,
        writable: grant.writable,
        freshUntilMs: answeredMs + grant.freshForMs,
        usableUntilMs: answeredMs + grant.usableForMs,
        asking: false,
      });
    });
  };
  /** Asks ahead of the end of a lease. The holder says by 'evict' if the key may not be used any more. */
  const askAhead = (ref: KeyRef, held: LentKey): void => {
    held.asking = true;
    askForKey(ref).catch((error: unknown) => {
      if (!(error instanceof KmsError)) throw error;
      held.asking = false;
    });
  };

  return {
    bucketKey: async (ref, use) => {
      const held = lent.get(JSON.stringify([ref.connection, ref.kmsId, ref.keyCheckValue]));
      const now = nowMs();
      if (held === undefined || now >= held.usableUntilMs) {
        return permitted(await askForKey(ref), use, ref);
      }
      servedByConnection.set(ref.connection, (servedByConnection.get(ref.connection) ?? 0) + 1);
      if (now >= held.freshUntilMs && !held.asking) askAhead(ref, held);
      return permitted(held, use, ref);
    },
    createKey: async (connection, kmsName) => await ask('create', { connection, kmsName }),
    locateKey: async (connection, kmsName, reservedMs) =>
      await ask('locate', { connection, kmsName, reservedMs }),
    activateKey: async (connection, kmsId) => await ask('activate', { connection, kmsId }),
    revokeKey: async (connection, kmsId) => {
      await ask('revoke', { connection, kmsId });
    },
    destroyKey: async (connection, kmsId) => {
      await ask('destroy', { connection, kmsId });
    },
    close: () => port.close(),
  };
}

function permitted(
  { key, writable }: { readonly key: KeyObject; readonly writable: boolean },
  use: 'read' | 'write',
  ref: KeyRef,
): KeyObject {
  if (use === 'write' && !writable) {
    throw new KmsError('InvalidState', `key ${ref.kmsId} is not Active: it serves reads only`);
  }
  return key;
}
