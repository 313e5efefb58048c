/**
 * What the operator asks of the API server. Owns the contract; operator/kube/client.ts fulfils it. It must know no
 * reconciler. Every call rejects with KubeError.
 */
import type { KubeObject, ObjectKey, ResourceType } from './resource.ts';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends CallOptions {
  readonly subresource?: 'status';
}

export interface KubeApi {
  /** Whether the API server has this kind, by its discovery, which every account may read. */
  serves(type: ResourceType, signal?: AbortSignal): Promise<boolean>;
  /** null: not found. */
  get(type: ResourceType, key: ObjectKey, signal?: AbortSignal): Promise<KubeObject | null>;
  /** One page after another, up to the end; for small sets. */
  list(
    type: ResourceType,
    query: { readonly namespace?: string; readonly labelSelector?: string },
    signal?: AbortSignal,
  ): Promise<readonly KubeObject[]>;
  /** Rejects with code AlreadyExists. */
  create(type: ResourceType, object: KubeObject, options?: CallOptions): Promise<KubeObject>;
  /** Server-side apply under the operator's one field manager, forced. */
  apply(type: ResourceType, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** JSON merge patch; with metadata.resourceVersion in the patch it rejects with Conflict when that is not the newest. */
  mergePatch(type: ResourceType, key: ObjectKey, patch: object, options?: WriteOptions): Promise<KubeObject>;
  /** false: there was none. With `uid` or `resourceVersion` only that one (else Conflict). */
  delete(
    type: ResourceType,
    key: ObjectKey,
    preconditions?: { readonly uid?: string; readonly resourceVersion?: string },
    options?: CallOptions,
  ): Promise<boolean>;
}

export type KubeErrorCode =
  | 'NotFound'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Invalid'
  | 'Forbidden'
  | 'Expired'
  | 'TooManyRequests'
  /** No answer, a failure of the server's own, or credentials of ours that it does not accept (401). */
  | 'Unavailable'
  | 'Unexpected';

/** A failed call. The message holds verb, kind, name and the API server's reason, never a body. */
export class KubeError extends Error {
  readonly code: KubeErrorCode;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** What the API server asked to wait, ms; null: nothing. */
  readonly retryAfterMs: number | null;
  constructor(
    code: KubeErrorCode,
    message: string,
    options: ErrorOptions & { readonly status?: number; readonly retryAfterMs?: number | null } = {},
  ) {
    super(message, options);
    this.name = 'KubeError';
    this.code = code;
    this.status = options.status ?? 0;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/**
 * Whether the API server will refuse the same write again as long as nobody changes anything: an immutable or oversized
 * object, a quota, an admission policy, a missing right.
 */
export function isRefusedWrite(error: unknown): error is KubeError {
  return error instanceof KubeError && (error.code === 'Invalid' || error.code === 'Forbidden');
}

/** A synced, watched copy of the objects of one kind (or of their metadata alone). Objects are frozen. */
export interface Cache {
  readonly type: ResourceType;
  get(key: ObjectKey): KubeObject | undefined;
  list(namespace?: string): readonly KubeObject[];
  /** Objects under an index given at creation, such as EncryptedBuckets by the connection they refer to. */
  byIndex(index: string, value: string): readonly KubeObject[];
  /** True once the first list has been taken over; reconcilers run only then. */
  readonly synced: boolean;
}
