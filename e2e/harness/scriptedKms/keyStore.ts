/**
 * The keys of scripted KMIP servers. Several servers on one store are a replicated cluster, with lag if a server has one.
 *
 * Keys lie in the clear, and tests change them behind the servers' backs: a test tool.
 */
import { randomBytes } from 'node:crypto';
import { AES, STATES } from './numbers.ts';

export interface StoredKey {
  readonly kmsId: string;
  name: string | null;
  objectGroup: string | null;
  material: Buffer;
  algorithm: number;
  bits: number;
  usageMask: number;
  /** Common name of the client certificate that made it; null: everybody's. */
  owner: string | null;
  /** Unix ms, as the server that made it has them (its clock may be wrong). */
  createdMs: number;
  /** What became of the key, oldest first, and which server did it (null: all at once); at least one entry. */
  readonly history: KeyChange[];
}

interface KeyChange {
  /** A value of STATES, or 'gone': the server knows the key no more. */
  readonly state: number | 'gone';
  /** performance.now(). */
  readonly atMs: number;
  readonly server: symbol | null;
}

export interface KeyStore {
  /** By unique identifier, in the order of creation; keys that are gone stay here with that as their last change. */
  readonly keys: Map<string, StoredKey>;
  /** Adds a key, Active and everybody's unless said otherwise, and returns its identifier. `server`: who knows it first. */
  add(
    changes?: Partial<Omit<StoredKey, 'kmsId' | 'history'>> & { readonly state?: number },
    server?: symbol,
  ): string;
  /** The key to look at or change. Throws for an unknown identifier. */
  key(kmsId: string): StoredKey;
  /** Identifiers of the keys of this name that are not gone. */
  named(name: string): string[];
  /** The state that the newest change gave. */
  state(kmsId: string): number | 'gone';
  /** Puts a key into another state, or makes it unknown; a change by `server` reaches lagging servers later. */
  setState(kmsId: string, state: number | 'gone', server?: symbol): void;
}

export function newKeyStore(): KeyStore {
  const keys = new Map<string, StoredKey>();
  const change = (state: number | 'gone', server: symbol | undefined): KeyChange => ({
    state,
    atMs: performance.now(),
    server: server ?? null,
  });
  const keyOf = (kmsId: string): StoredKey => {
    const key = keys.get(kmsId);
    if (key === undefined) throw new Error(`the scripted KMS never had a key ${kmsId}`);
    return key;
  };
  const state = (kmsId: string): number | 'gone' => keyOf(kmsId).history.at(-1)?.state ?? 'gone';
  return {
    keys,
    key: keyOf,
    state,
    add: ({ state: first = STATES.active, ...changes } = {}, server) => {
      const kmsId = `scripted-${keys.size + 1}`;
      keys.set(kmsId, {
        kmsId,
        name: null,
        objectGroup: null,
        material: randomBytes(32),
        algorithm: AES,
        bits: 256,
        usageMask: 0x0c,
        owner: null,
        createdMs: Date.now(),
        history: [change(first, server)],
        ...changes,
      });
      return kmsId;
    },
    named: (name) =>
      [...keys.values()]
        .filter((key) => key.name === name && state(key.kmsId) !== 'gone')
        .map(({ kmsId }) => kmsId),
    setState: (kmsId, next, server) => {
      keyOf(kmsId).history.push(change(next, server));
    },
  };
}

/** The state as a server sees it that learns of the others' changes `lagMs` late; 'gone' also before it knows the key. */
export function stateSeenBy(key: StoredKey, server: symbol, lagMs: number): number | 'gone' {
  const seen = key.history.findLast(
    (change) =>
      change.server === null || change.server === server || performance.now() - change.atMs >= lagMs,
  );
  return seen?.state ?? 'gone';
}
