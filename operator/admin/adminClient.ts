/** The admin API of one pod over HTTPS, by its address and a fixed server name. Keeps a few connections open. */
import { isIPv6 } from 'node:net';
import { Pool } from 'undici';
import { z } from 'zod';
import {
  type AccessKey,
  accessKey,
  accessKeyPage,
  type PutAccessKey,
} from '../../dataplane/admin/schema/accessKeys.ts';
import {
  type BucketReport,
  bucketReport,
  type ConnectionUse,
  connectionUse,
  type DeclareBucket,
  type KeyVersionReport,
  keyVersionReport,
} from '../../dataplane/admin/schema/buckets.ts';
import { EPOCH_HEADER, epochTaken } from '../../dataplane/admin/schema/epoch.ts';
import { adminErrorBody } from '../../dataplane/admin/schema/errors.ts';
import { type Status, status } from '../../dataplane/admin/schema/status.ts';
import { type AdminApi, AdminApiError, isRefusal } from './adminApi.ts';

/** The name in every admin certificate, whatever the pod's address is. */
const ADMIN_SERVER_NAME = 'admin.sealgate.internal';
const TIMEOUT_MS = 10_000;
/** Above the total timeout that a KMS connection has by default: declaring makes a key. */
const KMS_TIMEOUT_MS = 20_000;
const CONNECTIONS = 4;
const PAGE_LIMIT = 1_000;

export interface AdminTarget {
  /** IP address of the pod. */
  readonly host: string;
  readonly port: number;
  /** PEM of the authorities that may have issued the pod's certificate. */
  readonly caBundle: string;
  readonly serverName?: string;
}

export interface AdminClientDeps {
  /** The bearer token in force; a secret. */
  readonly token: () => string;
  /** The epoch that this operator leads with; null: it has none, and the data plane takes it for a person. */
  readonly epoch: () => number | null;
  /** Told when the data plane has seen a later leader's epoch. */
  readonly deposed: () => void;
  /** Told of each request. */
  readonly observe?: (request: AdminRequest) => void;
}

/** What is counted of one request: no name of a bucket or key is in it. */
export interface AdminRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** First part of the path, such as buckets. */
  readonly resource: string;
  /** HTTP status; none: no answer came. */
  readonly code: string;
}

interface Call<T> {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly answer: z.ZodType<T>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export class AdminClient implements AdminApi {
  #pool: Pool;
  #deps: AdminClientDeps;

  constructor({ host, port, caBundle, serverName = ADMIN_SERVER_NAME }: AdminTarget, deps: AdminClientDeps) {
    this.#deps = deps;
    this.#pool = new Pool(`https://${isIPv6(host) ? `[${host}]` : host}:${port}`, {
      connections: CONNECTIONS,
      connect: { ca: caBundle, servername: serverName, timeout: TIMEOUT_MS },
    });
  }

  async status(signal?: AbortSignal): Promise<Status> {
    return (await this.#call({ method: 'GET', path: 'status', answer: status, signal })).body;
  }

  async statusOf(connection: string, signal?: AbortSignal): Promise<Status> {
    const path = `status?${new URLSearchParams({ connection }).toString()}`;
    return (await this.#call({ method: 'GET', path, answer: status, signal })).body;
  }

  async takeEpoch(holder: string, signal?: AbortSignal): Promise<number> {
    const call = { method: 'POST', path: 'epoch', body: { holder }, answer: epochTaken, signal } as const;
    return (await this.#call(call)).body.epoch;
  }

  async declareBucket(name: string, declaration: DeclareBucket, signal?: AbortSignal): Promise<BucketReport> {
    const { body } = await this.#call({
      method: 'PUT',
      path: `buckets/${encodeURIComponent(name)}`,
      body: declaration,
      answer: bucketReport,
      timeoutMs: KMS_TIMEOUT_MS,
      signal,
    });
    return body;
  }

  async bucket(name: string, signal?: AbortSignal): Promise<BucketReport | null> {
    const path = `buckets/${encodeURIComponent(name)}`;
    const found = await orNull(
      this.#call({ method: 'GET', path, answer: bucketReport, signal }),
      'NoSuchBucket',
    );
    return found?.body ?? null;
  }

  async deleteBucket(
    name: string,
    { mode, owner }: { readonly mode: 'ifEmpty' | 'purge'; readonly owner: string },
    signal?: AbortSignal,
  ): Promise<'Gone' | 'BeingPurged'> {
    const path = `buckets/${encodeURIComponent(name)}?${new URLSearchParams({ mode, owner }).toString()}`;
    const answered = await orNull(
      this.#call({ method: 'DELETE', path, answer: z.unknown(), signal }),
      'NoSuchBucket',
    );
    return answered?.status === 202 ? 'BeingPurged' : 'Gone';
  }

  async rotateBucket(name: string, requestId: string, signal?: AbortSignal): Promise<KeyVersionReport> {
    const { body } = await this.#call({
      method: 'POST',
      path: `buckets/${encodeURIComponent(name)}/rotate`,
      body: { requestId },
      answer: keyVersionReport,
      timeoutMs: KMS_TIMEOUT_MS,
      signal,
    });
    return body;
  }

  async connectionUse(connection: string, signal?: AbortSignal): Promise<ConnectionUse> {
    const path = `kms/${encodeURIComponent(connection)}`;
    return (await this.#call({ method: 'GET', path, answer: connectionUse, signal })).body;
  }

  async accessKeys(owner: string, signal?: AbortSignal): Promise<readonly AccessKey[]> {
    const found: AccessKey[] = [];
    let after: string | null = null;
    do {
      const query: Record<string, string> = { owner, limit: String(PAGE_LIMIT) };
      if (after !== null) query['after'] = after;
      const path = `access-keys?${new URLSearchParams(query).toString()}`;
      const { body } = await this.#call({ method: 'GET', path, answer: accessKeyPage, signal });
      found.push(...body.accessKeys);
      after = body.next;
    } while (after !== null);
    return found;
  }

  async putAccessKey(accessKeyId: string, key: PutAccessKey, signal?: AbortSignal): Promise<AccessKey> {
    const path = `access-keys/${encodeURIComponent(accessKeyId)}`;
    return (await this.#call({ method: 'PUT', path, body: key, answer: accessKey, signal })).body;
  }

  async deleteAccessKey(accessKeyId: string, signal?: AbortSignal): Promise<void> {
    const path = `access-keys/${encodeURIComponent(accessKeyId)}`;
    await orNull(this.#call({ method: 'DELETE', path, answer: z.unknown(), signal }), 'NoSuchAccessKey');
  }

  /** Ends the connections; calls under way are rejected. */
  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #call<T>(call: Call<T>): Promise<{ readonly status: number; readonly body: T }> {
    const { statusCode, text } = await this.#exchange(call);
    const what = named(call);
    const json = text === '' ? undefined : parseJson(text);
    if (statusCode >= 400) {
      const refusal = adminErrorBody.safeParse(json);
      if (!refusal.success) throw malformed(what, statusCode);
      const { code, message } = refusal.data.error;
      if (code === 'StaleEpoch') this.#deps.deposed();
      throw new AdminApiError(code, statusCode, message);
    }
    const parsed = call.answer.safeParse(json);
    if (!parsed.success) throw malformed(what, statusCode);
    return { status: statusCode, body: parsed.data };
  }

  async #exchange({
    method,
    path,
    body: sent,
    timeoutMs = TIMEOUT_MS,
    signal,
  }: Omit<Call<unknown>, 'answer'>): Promise<{ readonly statusCode: number; readonly text: string }> {
    let code = 'none';
    try {
      const { statusCode, body } = await this.#pool.request({
        method,
        path: `/admin/v1/${path}`,
        headers: this.#headers(method),
        ...(sent === undefined ? {} : { body: JSON.stringify(sent) }),
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]),
      });
      const text = await body.text();
      code = String(statusCode);
      return { statusCode, text };
    } catch (error) {
      throw new AdminApiError('Unreachable', 0, `${named({ method, path })}: ${reasonOf(error)}`, {
        cause: error,
      });
    } finally {
      this.#deps.observe?.({ method, resource: path.split(/[/?]/)[0] ?? '', code });
    }
  }

  #headers(method: Call<unknown>['method']): Record<string, string> {
    const epoch = method === 'GET' ? null : this.#deps.epoch();
    return {
      authorization: `Bearer ${this.#deps.token()}`,
      ...(method === 'PUT' || method === 'POST' ? { 'content-type': 'application/json' } : {}),
      ...(epoch === null ? {} : { [EPOCH_HEADER]: String(epoch) }),
    };
  }
}

const named = ({ method, path }: Pick<Call<unknown>, 'method' | 'path'>): string =>
  `${method} /admin/v1/${path.split('?')[0]}`;

const malformed = (what: string, statusCode: number): AdminApiError =>
  new AdminApiError('Malformed', statusCode, `${what}: the answer is not one of the admin API`);

/** The value, or undefined when the text is no JSON: the schema then refuses it. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The code alone: a message may repeat what was sent. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'it failed';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return error.name === 'TimeoutError' ? 'no answer in time' : error.name;
}

async function orNull<T>(call: Promise<T>, code: string): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    if (isRefusal(error, code)) return null;
    throw error;
  }
}
