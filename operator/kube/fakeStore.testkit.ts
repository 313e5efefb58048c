/** The objects of the fake API server, their versions and what happened to them. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';

const stored = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().optional(),
    resourceVersion: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
});

export type StoredObject = z.infer<typeof stored>;
type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

interface Change {
  readonly version: number;
  readonly type: ChangeType;
  readonly collection: string;
  readonly object: StoredObject;
}

export class FakeStore {
  #version = 100;
  /** Below this nothing is remembered. */
  #oldest = 0;
  readonly #objects = new Map<string, StoredObject>();
  readonly #changes: Change[] = [];
  /** Begun paged lists: the rest of their items by token. */
  readonly #rests = new Map<string, { version: number; items: StoredObject[] }>();
  onChange: (type: ChangeType, collection: string, object: StoredObject) => void = () => undefined;

  get version(): string {
    return String(this.#version);
  }

  /** Forgets all versions before the newest, and all begun lists, as etcd's compaction. */
  compact(): void {
    this.#oldest = this.#version;
    this.#rests.clear();
  }

  /** `/api/v1/namespaces/a/configmaps/x`, and not a collection. */
  isObject(path: string): boolean {
    return this.#split(path).name !== '';
  }

  /** A collection of all namespaces covers that of each. */
  covers(collection: string, other: string): boolean {
    return collection === other || collection === other.replace(/\/namespaces\/[^/]+/, '');
  }

  get(path: string): StoredObject | undefined {
    return this.#objects.get(this.#split(path).path);
  }

  page(collection: string, limit: number, token: string, labelSelector: string): object | null {
    const begun =
      token === ''
        ? { version: this.#version, items: this.list(collection, labelSelector) }
        : this.#rests.get(token);
    if (begun === undefined) return null;
    const items = begun.items.slice(0, limit);
    const rest = begun.items.slice(limit);
    const next = rest.length === 0 ? '' : randomUUID();
    if (next !== '') this.#rests.set(next, { version: begun.version, items: rest });
    return { kind: 'List', metadata: { resourceVersion: String(begun.version), continue: next }, items };
  }

  /** Changes after a version; null: it is forgotten. */
  since(collection: string, version: string): object[] | null {
    if (Number(version) < this.#oldest) return null;
    return this.#changes
      .filter((change) => change.version > Number(version) && this.covers(collection, change.collection))
      .map(({ type, object }) => ({ type, object }));
  }

  create(collection: string, body: unknown): StoredObject | string {
    const object = stored.parse(body);
    const path = `${collection}/${object.metadata.name}`;
    if (this.#objects.has(path)) return 'AlreadyExists';
    return this.#put('ADDED', path, {
      ...object,
      metadata: { ...object.metadata, uid: randomUUID() },
    });
  }

  /** A merge patch; no answer changes a version when nothing differs. */
  patch(
    path: string,
    body: unknown,
    options: { version: string | undefined; create: boolean },
  ): StoredObject | string {
    const split = this.#split(path);
    const present = this.#objects.get(split.path);
    if (present === undefined) {
      return options.create && split.subresource === '' ? this.create(split.collection, body) : 'NotFound';
    }
    if (options.version !== undefined && options.version !== present.metadata.resourceVersion)
      return 'Conflict';
    const merged = stored.parse(merge(present, body));
    const kept = stored.parse(
      merge(merged, { metadata: { resourceVersion: present.metadata.resourceVersion } }),
    );
    if (JSON.stringify(kept) === JSON.stringify(present)) return present;
    return this.#put('MODIFIED', split.path, kept);
  }

  remove(path: string, preconditions: Readonly<Record<string, string>>): object | string {
    const present = this.#objects.get(path);
    if (present === undefined) return 'NotFound';
    const { uid, resourceVersion } = preconditions;
    if (uid !== undefined && uid !== present.metadata.uid) return 'Conflict';
    if (resourceVersion !== undefined && resourceVersion !== present.metadata.resourceVersion)
      return 'Conflict';
    this.#put('DELETED', path, present);
    return { kind: 'Status', status: 'Success' };
  }

  list(collection: string, labelSelector: string): StoredObject[] {
    const [label = '', value = ''] = labelSelector.split('=');
    return [...this.#objects]
      .filter(([path]) => this.covers(collection, this.#split(path).collection))
      .map(([, object]) => object)
      .filter((object) => labelSelector === '' || object.metadata.labels?.[label] === value);
  }

  #put(type: ChangeType, path: string, object: StoredObject): StoredObject {
    this.#version += 1;
    const next = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.#version) } };
    if (type === 'DELETED') this.#objects.delete(path);
    else this.#objects.set(path, next);
    const { collection } = this.#split(path);
    this.#changes.push({ version: this.#version, type, collection, object: next });
    this.onChange(type, collection, next);
    return next;
  }

  #split(path: string): { collection: string; name: string; path: string; subresource: string } {
    const pattern =
      /^((?:\/api|\/apis\/[^/]+)\/[^/]+(?:\/namespaces\/[^/]+)?\/[^/]+)(?:\/([^/]+))?(?:\/(status))?$/;
    const [, collection = '', name = '', subresource = ''] = pattern.exec(path) ?? [];
    return { collection, name, path: `${collection}/${name}`, subresource };
  }
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

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
