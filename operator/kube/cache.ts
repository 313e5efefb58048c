/**
 * A copy of the objects of one kind, kept by reflectors and read by reconcilers.
 *
 * Owns the objects, their indexes and who is told of changes. It asks nobody for anything. Objects are frozen to the
 * bottom and carry neither managedFields, which are often most of an object, nor the copy of all of it that `kubectl
 * apply` leaves in an annotation: of a Secret it holds the contents.
 */
import type { Cache } from './kubeApi.ts';
import { keyOf, keyText } from './paths.ts';
import type { KubeObject, ObjectKey, ResourceType } from './resource.ts';

export type CacheEvent =
  | { readonly type: 'added'; readonly object: KubeObject }
  | { readonly type: 'updated'; readonly old: KubeObject; readonly object: KubeObject }
  /** The last known state; the last of all may have been missed. */
  | { readonly type: 'deleted'; readonly object: KubeObject };

export interface CacheHandler {
  (event: CacheEvent): void;
}

/** Under which values of an index an object is found. */
export interface IndexValues {
  (object: KubeObject): readonly string[];
}

/** A cache that tells of its changes. */
export interface ObservedCache extends Cache {
  /** Told of every change from now on, and at once of what is there; the result ends it. */
  subscribe(handler: CacheHandler): () => void;
  /** Resolves when the first list has been taken over; rejects when the signal aborts before. */
  whenSynced(signal: AbortSignal): Promise<void>;
}

export interface ObjectCacheOptions {
  readonly type: ResourceType;
  readonly indexes?: Readonly<Record<string, IndexValues>>;
  /** Namespaces that are listed one by one; undefined: all at once. */
  readonly namespaces?: readonly string[] | undefined;
}

/** The object as it was last given to `kubectl apply`, contents and all. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** Stands for all namespaces where a reflector lists them at once. */
export const ALL_NAMESPACES = '';

export class ObjectCache implements ObservedCache {
  readonly type: ResourceType;
  readonly #objects = new Map<string, KubeObject>();
  readonly #indexes: readonly Index[];
  readonly #handlers = new Set<CacheHandler>();
  readonly #unlisted: Set<string>;
  readonly #synced = Promise.withResolvers<void>();

  constructor(options: ObjectCacheOptions) {
    this.type = options.type;
    this.#indexes = Object.entries(options.indexes ?? {}).map(([name, values]) => new Index(name, values));
    this.#unlisted = new Set(options.namespaces ?? [ALL_NAMESPACES]);
    if (this.#unlisted.size === 0) this.#synced.resolve();
  }

  get(key: ObjectKey): KubeObject | undefined {
    return this.#objects.get(keyText(key));
  }

  list(namespace?: string): readonly KubeObject[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }

  byIndex(index: string, value: string): readonly KubeObject[] {
    const found = this.#indexes.find(({ name }) => name === index);
    if (found === undefined) throw new RangeError(`${this.type.kind} has no index ${index}`);
    return [...found.keys(value)].flatMap((key) => this.#objects.get(key) ?? []);
  }

  get synced(): boolean {
    return this.#unlisted.size === 0;
  }

  whenSynced(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const aborted = (): void =>
        reject(new Error(`${this.type.kind}: not listed yet`, { cause: signal.reason }));
      if (signal.aborted) {
        aborted();
        return;
      }
      signal.addEventListener('abort', aborted, { once: true });
      void this.#synced.promise.then(() => {
        signal.removeEventListener('abort', aborted);
        resolve();
      });
    });
  }

  subscribe(handler: CacheHandler): () => void {
    this.#handlers.add(handler);
    for (const object of this.#objects.values()) handler({ type: 'added', object });
    return () => this.#handlers.delete(handler);
  }

  /** Takes over a full list of a namespace (or of ALL_NAMESPACES): what is missing in it counts as deleted. */
  replace(scope: string, objects: readonly KubeObject[]): void {
    const listed = new Set(objects.map((object) => keyText(keyOf(object))));
    for (const [key, object] of this.#objects) {
      const inScope = scope === ALL_NAMESPACES || object.metadata.namespace === scope;
      if (inScope && !listed.has(key)) this.remove(object);
    }
    for (const object of objects) this.upsert(object);
    this.#unlisted.delete(scope);
    if (this.synced) this.#synced.resolve();
  }

  /** Takes over one object. The same resourceVersion again changes nothing and is told to nobody. */
  upsert(received: KubeObject): void {
    const key = keyText(keyOf(received));
    const old = this.#objects.get(key);
    if (old !== undefined && isSameVersion(old, received)) return;
    const object = trimmed(received);
    if (old !== undefined && old.metadata.uid !== object.metadata.uid) {
      // Deleted and made anew under the same name while nobody watched.
      this.remove(old);
      this.#put(key, undefined, object);
      return;
    }
    this.#put(key, old, object);
  }

  remove(received: KubeObject): void {
    const key = keyText(keyOf(received));
    const old = this.#objects.get(key);
    if (old === undefined) return;
    this.#objects.delete(key);
    for (const index of this.#indexes) index.change(key, old, undefined);
    this.#tell({ type: 'deleted', object: old });
  }

  #put(key: string, old: KubeObject | undefined, object: KubeObject): void {
    this.#objects.set(key, object);
    for (const index of this.#indexes) index.change(key, old, object);
    this.#tell(old === undefined ? { type: 'added', object } : { type: 'updated', old, object });
  }

  #tell(event: CacheEvent): void {
    for (const handler of this.#handlers) handler(event);
  }
}

class Index {
  readonly name: string;
  readonly #valuesOf: IndexValues;
  readonly #keys = new Map<string, Set<string>>();

  constructor(name: string, valuesOf: IndexValues) {
    this.name = name;
    this.#valuesOf = valuesOf;
  }

  keys(value: string): ReadonlySet<string> {
    return this.#keys.get(value) ?? new Set();
  }

  change(key: string, old: KubeObject | undefined, object: KubeObject | undefined): void {
    for (const value of old === undefined ? [] : this.#valuesOf(old)) {
      const keys = this.#keys.get(value);
      keys?.delete(key);
      if (keys?.size === 0) this.#keys.delete(value);
    }
    for (const value of object === undefined ? [] : this.#valuesOf(object)) {
      const keys = this.#keys.get(value);
      if (keys === undefined) this.#keys.set(value, new Set([key]));
      else keys.add(key);
    }
  }
}

function isSameVersion(a: KubeObject, b: KubeObject): boolean {
  const version = a.metadata.resourceVersion;
  return version !== undefined && version === b.metadata.resourceVersion && a.metadata.uid === b.metadata.uid;
}

function trimmed(object: KubeObject): KubeObject {
  const metadata = without(object.metadata, 'managedFields');
  const { annotations } = metadata;
  if (annotations === undefined) return frozen({ ...object, metadata });
  return frozen({ ...object, metadata: { ...metadata, annotations: without(annotations, LAST_APPLIED) } });
}

/** `name` is none of the fields that T requires. */
function without<T extends object>(fields: T, name: string): T {
  return Object.fromEntries(Object.entries(fields).filter(([field]) => field !== name)) as T;
}

function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const item of Object.values(value)) frozen(item);
  return Object.freeze(value);
}
