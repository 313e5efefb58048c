/**
 * The client of the API server: the only code of the operator, beside its transport, that speaks to it.
 *
 * Owns the verbs and their forms. It keeps nothing between calls, decides nothing about objects and never puts a body
 * into an error.
 */
import {
  type ObjectPage,
  parseObject,
  parsePage,
  parseResourceNames,
  parseWatchLine,
  type WatchLine,
} from './answers.ts';
import { watchFailure } from './failures.ts';
import { type CallOptions, type KubeApi, KubeError, type WriteOptions } from './kubeApi.ts';
import { lines } from './lines.ts';
import { listAll } from './listAll.ts';
import { collectionPath, discoveryPath, keyOf, keyText, objectPath, resourceName } from './paths.ts';
import type { KubeObject, ObjectKey, ResourceType } from './resource.ts';
import type { ApiCall, Transport } from './transport.ts';
import type { Selection, WatchApi } from './watchApi.ts';

/** Who the API server says owns the fields that the operator applies. */
const FIELD_MANAGER = 'sealgate-operator';

const PAGE_SIZE = 500;
const PARTIAL = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1';
const PARTIAL_LIST = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1';

export class KubeClient implements KubeApi, WatchApi {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  async serves(type: ResourceType, signal?: AbortSignal): Promise<boolean> {
    const call: ApiCall = {
      verb: 'get',
      method: 'GET',
      resource: 'discovery',
      subject: `discovery of ${type.group}/${type.version}`,
      path: discoveryPath(type),
      signal,
    };
    // Without the group there is no list.
    const answer = await orNull(this.#transport.send(call));
    return answer !== null && understood(call, () => parseResourceNames(answer)).includes(type.plural);
  }

  async get(type: ResourceType, key: ObjectKey, signal?: AbortSignal): Promise<KubeObject | null> {
    const call = this.#on(type, key, 'get', 'GET');
    return await orNull(this.#object(type, { ...call, signal }));
  }

  async list(
    type: ResourceType,
    query: { readonly namespace?: string; readonly labelSelector?: string },
    signal: AbortSignal = new AbortController().signal,
  ): Promise<readonly KubeObject[]> {
    return (await listAll(this, type, query, signal)).items;
  }

  async create(type: ResourceType, object: KubeObject, options: CallOptions = {}): Promise<KubeObject> {
    const key = keyOf(object);
    return await this.#object(type, {
      ...this.#on(type, key, 'create', 'POST'),
      path: collectionPath(type, key.namespace),
      query: { fieldManager: FIELD_MANAGER },
      body: object,
      signal: options.signal,
    });
  }

  async apply(type: ResourceType, object: KubeObject, options: WriteOptions = {}): Promise<KubeObject> {
    return await this.#object(type, {
      ...this.#on(type, keyOf(object), 'apply', 'PATCH', options.subresource),
      query: { fieldManager: FIELD_MANAGER, force: 'true' },
      contentType: 'application/apply-patch+yaml',
      body: object,
      signal: options.signal,
    });
  }

  async mergePatch(
    type: ResourceType,
    key: ObjectKey,
    patch: object,
    options: WriteOptions = {},
  ): Promise<KubeObject> {
    return await this.#object(type, {
      ...this.#on(type, key, 'patch', 'PATCH', options.subresource),
      query: { fieldManager: FIELD_MANAGER },
      contentType: 'application/merge-patch+json',
      body: patch,
      signal: options.signal,
    });
  }

  async delete(
    type: ResourceType,
    key: ObjectKey,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string } = {},
    { signal }: CallOptions = {},
  ): Promise<boolean> {
    const call = this.#on(type, key, 'delete', 'DELETE');
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: 'Background',
      ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
    };
    return (await orNull(this.#transport.send({ ...call, body, signal }))) !== null;
  }

  async listPage(
    type: ResourceType,
    selection: Selection,
    next: string,
    signal: AbortSignal,
  ): Promise<ObjectPage> {
    const call: ApiCall = {
      ...this.#all(type, selection, 'list'),
      query: {
        ...selectionQuery(selection),
        limit: String(PAGE_SIZE),
        ...(next === '' ? {} : { continue: next }),
      },
      ...(selection.metadataOnly === true ? { accept: PARTIAL_LIST } : {}),
      signal,
    };
    const answer = await this.#transport.send(call);
    return understood(call, () => parsePage(type, answer));
  }

  async *watch(
    type: ResourceType,
    selection: Selection,
    from: { readonly resourceVersion: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): AsyncGenerator<Exclude<WatchLine, { readonly type: 'failure' }>> {
    const call = {
      ...this.#all(type, selection, 'watch'),
      query: {
        ...selectionQuery(selection),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion: from.resourceVersion,
        timeoutSeconds: String(from.timeoutSeconds),
      },
      ...(selection.metadataOnly === true ? { accept: PARTIAL } : {}),
      signal,
    };
    const body = await this.#transport.stream(call);
    const what = `watch ${call.subject}`;
    try {
      for await (const text of lines(body)) {
        const line = parseWatchLine(type, text);
        if (line.type === 'failure') throw watchFailure(what, line.status);
        yield line;
      }
    } catch (error) {
      if (error instanceof KubeError) throw error;
      throw new KubeError('Unavailable', `${what}: the stream broke off`, { cause: error });
    } finally {
      body.destroy();
    }
  }

  async #object(type: ResourceType, call: ApiCall): Promise<KubeObject> {
    const answer = await this.#transport.send(call);
    return understood(call, () => parseObject(type, answer));
  }

  #on(
    type: ResourceType,
    key: ObjectKey,
    verb: ApiCall['verb'],
    method: ApiCall['method'],
    subresource?: 'status',
  ): ApiCall {
    return {
      verb,
      method,
      resource: resourceName(type),
      subject: `${type.kind} ${keyText(key)}${subresource === undefined ? '' : `/${subresource}`}`,
      path: objectPath(type, key, subresource),
    };
  }

  #all(type: ResourceType, { namespace }: Selection, verb: 'list' | 'watch'): ApiCall {
    return {
      verb,
      method: 'GET',
      resource: resourceName(type),
      subject: namespace === undefined ? type.kind : `${type.kind} in ${namespace}`,
      path: collectionPath(type, namespace),
    };
  }
}

function selectionQuery({ labelSelector }: Selection): Record<string, string> {
  return labelSelector === undefined ? {} : { labelSelector };
}

/** null for what is not there. */
async function orNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof KubeError && error.code === 'NotFound') return null;
    throw error;
  }
}

/** An answer of another shape than the API's is an error without what it held. */
function understood<T>(call: ApiCall, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new KubeError('Unexpected', `${call.verb} ${call.subject}: the answer is not understood`, {
      cause: error,
    });
  }
}
