/** An API server in memory for tests: objects by kind and name, defaults that a real one adds, and a record of writes. */
import { type CallOptions, type KubeApi, KubeError, type WriteOptions } from '../kube/kubeApi.ts';
import type { KubeObject, ObjectKey, ResourceType } from '../kube/resource.ts';

type Tree = Record<string, unknown>;

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** RFC 7396. */
function merged(target: unknown, patch: unknown): unknown {
  if (!isTree(patch)) return patch;
  const result: Tree = isTree(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

export class MemoryApi implements KubeApi {
  readonly objects = new Map<string, KubeObject>();
  /** Every write, such as `apply Secret sealgate-config`. */
  readonly writes: string[] = [];
  /** What each of them was sent with. */
  readonly signals: (AbortSignal | undefined)[] = [];
  /** Kinds that this server does not know. */
  readonly unknownKinds = new Set<string>();
  discoveryForbidden = false;
  /** How often it was asked whether it has a kind. */
  discovered = 0;
  /** Called before each write; may throw. */
  beforeWrite: (write: string) => void = () => undefined;
  #version = 0;

  put(type: ResourceType, object: KubeObject): KubeObject {
    this.#version += 1;
    const stored: KubeObject = {
      ...object,
      metadata: { ...object.metadata, uid: `uid-${this.#version}`, resourceVersion: String(this.#version) },
    };
    this.objects.set(this.#path(type, object.metadata.namespace ?? '', object.metadata.name), stored);
    return stored;
  }

  find(type: ResourceType, namespace: string, name: string): KubeObject | undefined {
    return this.objects.get(this.#path(type, namespace, name));
  }

  async serves(type: ResourceType): Promise<boolean> {
    this.discovered += 1;
    if (this.discoveryForbidden)
      throw new KubeError('Forbidden', `discovery of ${type.group}`, { status: 403 });
    return !this.unknownKinds.has(type.kind);
  }

  async get(type: ResourceType, key: ObjectKey): Promise<KubeObject | null> {
    return this.find(type, key.namespace, key.name) ?? null;
  }

  async list(
    type: ResourceType,
    query: { readonly namespace?: string; readonly labelSelector?: string },
  ): Promise<readonly KubeObject[]> {
    const wanted = (query.labelSelector ?? '').split(',').filter((one) => one !== '');
    const prefix = this.#path(type, query.namespace ?? '', '');
    return [...this.objects]
      .filter(([path]) => path.startsWith(prefix))
      .map(([, object]) => object)
      .filter(({ metadata }) =>
        wanted.every((one) => {
          const [label = '', value] = one.split('=');
          return metadata.labels?.[label] === value;
        }),
      );
  }

  async create(type: ResourceType, object: KubeObject, options: CallOptions = {}): Promise<KubeObject> {
    this.#write('create', type, object.metadata.name, options);
    if (this.find(type, object.metadata.namespace ?? '', object.metadata.name) !== undefined) {
      throw new KubeError('AlreadyExists', `create ${type.kind} ${object.metadata.name}`, { status: 409 });
    }
    return this.put(type, object);
  }

  async apply(type: ResourceType, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    this.#write('apply', type, object.metadata.name, options);
    if (this.unknownKinds.has(type.kind)) {
      throw new KubeError('NotFound', `apply ${type.kind} ${object.metadata.name}`, { status: 404 });
    }
    if (type.kind !== 'Service') return this.put(type, object);
    // The address of a Service is given once and stays.
    const before = this.find(type, object.metadata.namespace ?? '', object.metadata.name);
    const spec = { clusterIP: '10.96.0.17', clusterIPs: ['10.96.0.17'], sessionAffinity: 'None' };
    const given = isTree(before?.['spec']) ? before['spec'] : spec;
    return this.put(type, { ...object, spec: merged(given, object['spec']) });
  }

  async mergePatch(
    type: ResourceType,
    key: ObjectKey,
    patch: object,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    this.#write('patch', type, key.name, options);
    const present = this.find(type, key.namespace, key.name);
    if (present === undefined)
      throw new KubeError('NotFound', `patch ${type.kind} ${key.name}`, { status: 404 });
    const { apiVersion, kind, metadata } = present;
    const next = merged(present, patch);
    const patched = isTree(next) && isTree(next['metadata']) ? next : {};
    return this.put(type, {
      ...patched,
      apiVersion,
      kind,
      metadata: { ...metadata, ...(isTree(patched['metadata']) ? patched['metadata'] : {}) },
    });
  }

  async delete(
    type: ResourceType,
    key: ObjectKey,
    _preconditions?: object,
    options: CallOptions = {},
  ): Promise<boolean> {
    this.#write('delete', type, key.name, options);
    return this.objects.delete(this.#path(type, key.namespace, key.name));
  }

  /** Writes since the last call. */
  takeWrites(): string[] {
    return this.writes.splice(0);
  }

  #write(verb: string, type: ResourceType, name: string, { signal }: CallOptions): void {
    const write = `${verb} ${type.kind} ${name}`;
    this.signals.push(signal);
    this.beforeWrite(write);
    this.writes.push(write);
  }

  #path(type: ResourceType, namespace: string, name: string): string {
    return `${type.group}/${type.plural}/${namespace}/${name}`;
  }
}
