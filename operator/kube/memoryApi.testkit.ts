/** The API without a server, for tests of what stands above it: objects in memory, calls written down, faults on demand. */

import { parseObject } from './answers.ts';
import { FakeStore } from './fakeStore.testkit.ts';
import {
  type CallOptions,
  type KubeApi,
  KubeError,
  type KubeErrorCode,
  type WriteOptions,
} from './kubeApi.ts';
import { collectionPath, keyOf, objectPath } from './paths.ts';
import type { KubeObject, ObjectKey, ResourceType } from './resource.ts';

export interface MemoryCall {
  readonly verb: 'get' | 'list' | 'create' | 'apply' | 'patch' | 'delete';
  readonly path: string;
  readonly body?: object;
}

export class MemoryApi implements KubeApi {
  readonly store = new FakeStore();
  readonly calls: MemoryCall[] = [];
  /** Awaited before each call takes effect; a rejection is the call's. */
  before: (call: MemoryCall, signal: AbortSignal | undefined) => Promise<void> = () => Promise.resolve();

  async serves(): Promise<boolean> {
    return await Promise.resolve(true);
  }

  async get(type: ResourceType, key: ObjectKey, signal?: AbortSignal): Promise<KubeObject | null> {
    const path = objectPath(type, key);
    await this.#called({ verb: 'get', path }, signal);
    const found = this.store.get(path);
    return found === undefined ? null : parseObject(type, found);
  }

  async list(
    type: ResourceType,
    query: { readonly namespace?: string; readonly labelSelector?: string },
    signal?: AbortSignal,
  ): Promise<readonly KubeObject[]> {
    const path = collectionPath(type, query.namespace);
    await this.#called({ verb: 'list', path }, signal);
    return this.store.list(path, query.labelSelector ?? '').map((object) => parseObject(type, object));
  }

  async create(type: ResourceType, object: KubeObject, options: CallOptions = {}): Promise<KubeObject> {
    const path = collectionPath(type, object.metadata.namespace);
    await this.#called({ verb: 'create', path, body: object }, options.signal);
    requireValid(type, object);
    return answered(type, this.store.create(path, object));
  }

  async apply(type: ResourceType, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    const path = objectPath(type, keyOf(object), options.subresource);
    await this.#called({ verb: 'apply', path, body: object }, options.signal);
    return answered(
      type,
      this.store.patch(path, object, { version: object.metadata.resourceVersion, create: true }),
    );
  }

  async mergePatch(
    type: ResourceType,
    key: ObjectKey,
    patch: object,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    const path = objectPath(type, key, options.subresource);
    await this.#called({ verb: 'patch', path, body: patch }, options.signal);
    const { metadata } = patch as { metadata?: { resourceVersion?: string } };
    return answered(
      type,
      this.store.patch(path, patch, { version: metadata?.resourceVersion, create: false }),
    );
  }

  async delete(
    type: ResourceType,
    key: ObjectKey,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string } = {},
    options: CallOptions = {},
  ): Promise<boolean> {
    const path = objectPath(type, key);
    await this.#called({ verb: 'delete', path, body: preconditions }, options.signal);
    const result = this.store.remove(path, preconditions);
    if (typeof result !== 'string') return true;
    if (result === 'NotFound') return false;
    throw new KubeError('Conflict', `delete ${path}: ${result}`, { status: 409 });
  }

  async #called(call: MemoryCall, signal?: AbortSignal): Promise<void> {
    this.calls.push(call);
    await this.before(call, signal);
  }
}

/** What the API server asks of names, and of the note of an Event, whose length it counts in bytes. */
function requireValid(type: ResourceType, object: KubeObject): void {
  const { name } = object.metadata;
  const isName =
    name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name);
  const note = type.plural === 'events' ? String(object['note']) : '';
  if (isName && Buffer.byteLength(note) <= 1_024) return;
  throw new KubeError('Invalid', `create ${type.kind} ${name}: Invalid`, { status: 422 });
}

function answered(type: ResourceType, result: object | string): KubeObject {
  if (typeof result !== 'string') return parseObject(type, result);
  throw new KubeError(result as KubeErrorCode, `${type.kind}: ${result}`, {
    status: result === 'NotFound' ? 404 : 409,
  });
}
