/**
 * An API server in memory for reconcilers: finalizers, generations, conflicts, server-side apply by one manager, and
 * caches that follow at once.
 */
import { randomUUID } from 'node:crypto';
import { type IndexValues, ObjectCache } from './cache.ts';
import { type KubeApi, KubeError, type KubeErrorCode, type WriteOptions } from './kubeApi.ts';
import { keyOf, keyText } from './paths.ts';
import type { KubeObject, ObjectKey, ResourceType } from './resource.ts';

/** Runs a call; tests cut it off before or after. */
export interface Around {
  <T>(call: string, act: () => T): Promise<T>;
}

type Json = Readonly<Record<string, unknown>>;

const CODES: Readonly<Partial<Record<KubeErrorCode, number>>> = {
  NotFound: 404,
  AlreadyExists: 409,
  Conflict: 409,
  Invalid: 422,
};

export class ApiServer implements KubeApi {
  /** Of the calls so far. */
  readonly calls: string[] = [];
  around: Around = async (_call, act) => await Promise.resolve().then(act);
  #objects = new Map<string, KubeObject>();
  #applied = new Map<string, Json>();
  #caches: { readonly cache: ObjectCache; readonly metadataOnly: boolean }[] = [];
  #version = 0;

  /** A cache that follows at once. `metadataOnly`: as a watch of PartialObjectMetadata fills it. */
  cache(
    type: ResourceType,
    {
      indexes = {},
      metadataOnly = false,
    }: {
      readonly indexes?: Readonly<Record<string, IndexValues>>;
      readonly metadataOnly?: boolean;
    } = {},
  ): ObjectCache {
    const cache = new ObjectCache({ type, indexes });
    cache.replace(
      '',
      this.all(type).map((object) => (metadataOnly ? metadataOf(object) : object)),
    );
    this.#caches.push({ cache, metadataOnly });
    return cache;
  }

  all(type: ResourceType): readonly KubeObject[] {
    return [...this.#objects].flatMap(([key, object]) => (key.startsWith(`${type.plural} `) ? [object] : []));
  }

  peek(type: ResourceType, key: ObjectKey): KubeObject | null {
    return this.#objects.get(id(type, key)) ?? null;
  }

  /** What a person does, past `around`: a merge patch that creates what is missing. */
  edit(type: ResourceType, key: ObjectKey, change: Json): KubeObject {
    const present = this.peek(type, key);
    const base = present ?? {
      apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`,
      kind: type.kind,
      metadata: { ...key, uid: randomUUID(), generation: 1, creationTimestamp: '2030-01-01T00:00:00Z' },
    };
    return this.#put(type, present, asObject(merge(base, change)));
  }

  /** What a person does: deletes, finalizers obeyed. */
  remove(type: ResourceType, key: ObjectKey): void {
    const present = this.peek(type, key);
    if (present === null) throw new Error(`no ${type.kind} ${keyText(key)}`);
    this.#delete(type, present);
  }

  async serves(): Promise<boolean> {
    return await Promise.resolve(true);
  }

  async get(type: ResourceType, key: ObjectKey): Promise<KubeObject | null> {
    return await this.#call('get', type, key, () => this.peek(type, key));
  }

  async list(
    type: ResourceType,
    { namespace, labelSelector = '' }: { readonly namespace?: string; readonly labelSelector?: string },
  ): Promise<readonly KubeObject[]> {
    const [label = '', value] = labelSelector.split('=');
    return await this.#call('list', type, { namespace: namespace ?? '', name: '' }, () =>
      this.all(type).filter(
        ({ metadata }) =>
          (namespace === undefined || metadata.namespace === namespace) &&
          (label === '' || metadata.labels?.[label] === value),
      ),
    );
  }

  async create(type: ResourceType, object: KubeObject): Promise<KubeObject> {
    const key = keyOf(object);
    return await this.#call('create', type, key, () => {
      if (this.peek(type, key) !== null) throw failed('AlreadyExists', type, key);
      const metadata = { ...object.metadata, uid: randomUUID(), generation: 1 };
      return this.#put(type, null, { ...object, metadata });
    });
  }

  async apply(
    type: ResourceType,
    object: KubeObject,
    { subresource }: WriteOptions = {},
  ): Promise<KubeObject> {
    const key = keyOf(object);
    return await this.#call(`apply${subresource === undefined ? '' : ` ${subresource}`}`, type, key, () => {
      const present = this.peek(type, key);
      if (present === null) throw failed('NotFound', type, key);
      this.#requireVersion(type, present, object.metadata.resourceVersion);
      const { uid = present.metadata.uid } = object.metadata;
      if (uid !== present.metadata.uid) throw failed('Conflict', type, key);
      const slot = `${id(type, key)} ${subresource ?? ''}`;
      const { resourceVersion: _, ...metadata } = object.metadata;
      const wanted = subresource === undefined ? { ...object, metadata } : { status: object['status'] };
      const cleared = without(present, this.#applied.get(slot) ?? {}, wanted);
      const next = asObject(merge(cleared, wanted));
      requireMutable(type, present, next);
      this.#applied.set(slot, wanted);
      return this.#put(type, present, next);
    });
  }

  async mergePatch(type: ResourceType, key: ObjectKey, patch: object): Promise<KubeObject> {
    return await this.#call('patch', type, key, () => {
      const present = this.peek(type, key);
      if (present === null) throw failed('NotFound', type, key);
      const change = { ...patch } as Json;
      const metadata = { ...(change['metadata'] as Json | undefined) };
      this.#requireVersion(type, present, metadata['resourceVersion']);
      delete metadata['resourceVersion'];
      const next = asObject(merge(present, { ...change, metadata }));
      requireMutable(type, present, next);
      return this.#put(type, present, next);
    });
  }

  async delete(
    type: ResourceType,
    key: ObjectKey,
    { uid, resourceVersion }: { readonly uid?: string; readonly resourceVersion?: string } = {},
  ): Promise<boolean> {
    return await this.#call('delete', type, key, () => {
      const present = this.peek(type, key);
      if (present === null) return false;
      if (uid !== undefined && uid !== present.metadata.uid) throw failed('Conflict', type, key);
      this.#requireVersion(type, present, resourceVersion);
      this.#delete(type, present);
      return true;
    });
  }

  async #call<T>(verb: string, type: ResourceType, key: ObjectKey, act: () => T): Promise<T> {
    const call = `${verb} ${type.kind} ${keyText(key)}`;
    this.calls.push(call);
    return await this.around(call, act);
  }

  #requireVersion(type: ResourceType, present: KubeObject, version: unknown): void {
    if (version !== undefined && version !== present.metadata.resourceVersion) {
      throw failed('Conflict', type, keyOf(present));
    }
  }

  #delete(type: ResourceType, present: KubeObject): void {
    const { finalizers = [], deletionTimestamp, generation = 1 } = present.metadata;
    if (finalizers.length === 0) this.#drop(type, present);
    else if (deletionTimestamp === undefined) {
      const metadata = {
        ...present.metadata,
        deletionTimestamp: '2030-01-01T01:00:00Z',
        generation: generation + 1,
      };
      this.#put(type, present, { ...present, metadata });
    }
  }

  #drop(type: ResourceType, present: KubeObject): void {
    this.#objects.delete(id(type, keyOf(present)));
    for (const slot of this.#applied.keys()) {
      if (slot.startsWith(`${id(type, keyOf(present))} `)) this.#applied.delete(slot);
    }
    for (const { cache } of this.#caches) if (cache.type.kind === type.kind) cache.remove(present);
  }

  #put(type: ResourceType, present: KubeObject | null, next: KubeObject): KubeObject {
    if (present !== null && JSON.stringify(present) === JSON.stringify(next)) return present;
    const changedSpec = present !== null && JSON.stringify(present['spec']) !== JSON.stringify(next['spec']);
    this.#version += 1;
    const { generation = 1 } = next.metadata;
    const stored: KubeObject = {
      ...next,
      metadata: {
        ...next.metadata,
        generation: changedSpec ? generation + 1 : generation,
        resourceVersion: String(this.#version),
      },
    };
    if (stored.metadata.deletionTimestamp !== undefined && (stored.metadata.finalizers ?? []).length === 0) {
      this.#drop(type, stored);
      return stored;
    }
    this.#objects.set(id(type, keyOf(stored)), stored);
    for (const { cache, metadataOnly } of this.#caches) {
      if (cache.type.kind === type.kind) cache.upsert(metadataOnly ? metadataOf(stored) : stored);
    }
    return stored;
  }
}

const id = (type: ResourceType, key: ObjectKey): string => `${type.plural} ${keyText(key)}`;

const metadataOf = ({ apiVersion, kind, metadata }: KubeObject): KubeObject => ({
  apiVersion,
  kind,
  metadata,
});

function failed(code: KubeErrorCode, type: ResourceType, key: ObjectKey): KubeError {
  return new KubeError(code, `${type.kind} ${keyText(key)}: ${code}`, { status: CODES[code] ?? 500 });
}

/** Of an immutable Secret only the metadata can be changed. */
function requireMutable(type: ResourceType, present: KubeObject, next: KubeObject): void {
  if (present['immutable'] !== true) return;
  const content = ({ data, immutable }: KubeObject): string => JSON.stringify([data, immutable]);
  if (content(present) !== content(next)) throw failed('Invalid', type, keyOf(present));
}

const isMap = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function asObject(value: unknown): KubeObject {
  if (isMap(value) && isMap(value['metadata'])) return value as KubeObject;
  throw new TypeError('not an object of the API');
}

/** RFC 7396. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Record<string, unknown> = isMap(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = merge(result[name], value);
  }
  return result;
}

/** The object without the fields that were applied before and no longer are. */
function without(object: unknown, before: unknown, now: unknown): unknown {
  if (!isMap(object) || !isMap(before)) return object;
  const result: Record<string, unknown> = { ...object };
  for (const [name, value] of Object.entries(before)) {
    const wanted = isMap(now) ? now[name] : undefined;
    if (isMap(value) && isMap(result[name])) result[name] = without(result[name], value, wanted);
    else if (wanted === undefined) delete result[name];
  }
  return result;
}
