/**
 * What the operator asks of a data-plane pod over its admin port. Owns the contract; adminClient.ts fulfils it over
 * HTTPS. It must know no Kubernetes. Every call rejects with AdminApiError.
 */
import type { AccessKey, PutAccessKey } from '../../dataplane/admin/schema/accessKeys.ts';
import type {
  BucketReport,
  ConnectionUse,
  DeclareBucket,
  KeyVersionReport,
} from '../../dataplane/admin/schema/buckets.ts';
import type { Status } from '../../dataplane/admin/schema/status.ts';

export interface AdminApi {
  status(signal?: AbortSignal): Promise<Status>;
  /** The same, with no other KMS connection than this one; a data plane of an earlier version tells them all. */
  statusOf(connection: string, signal?: AbortSignal): Promise<Status>;
  /** Takes the next epoch for a new leader, and resolves to it. */
  takeEpoch(holder: string, signal?: AbortSignal): Promise<number>;
  /** Makes the bucket with its key, or brings it to what is declared. May take as long as the KMS does. */
  declareBucket(name: string, declaration: DeclareBucket, signal?: AbortSignal): Promise<BucketReport>;
  /** null: there is none. */
  bucket(name: string, signal?: AbortSignal): Promise<BucketReport | null>;
  /** Gone also when there was none. BeingPurged: ask again. */
  deleteBucket(
    name: string,
    query: { readonly mode: 'ifEmpty' | 'purge'; readonly owner: string },
    signal?: AbortSignal,
  ): Promise<'Gone' | 'BeingPurged'>;
  /** A new key version; the same requestId rotates once. */
  rotateBucket(name: string, requestId: string, signal?: AbortSignal): Promise<KeyVersionReport>;
  connectionUse(connection: string, signal?: AbortSignal): Promise<ConnectionUse>;
  /** All access keys of an owner, `namespace/name`. */
  accessKeys(owner: string, signal?: AbortSignal): Promise<readonly AccessKey[]>;
  putAccessKey(accessKeyId: string, key: PutAccessKey, signal?: AbortSignal): Promise<AccessKey>;
  /** Revokes at once. Resolves also when there was none. */
  deleteAccessKey(accessKeyId: string, signal?: AbortSignal): Promise<void>;
}

/**
 * A refusal or a failed call. `code` is the data plane's (BucketNameTaken, KmsUnavailable, ...) or one of ours:
 * Unreachable (no answer in time, no connection), Malformed (an answer that is not the API's).
 */
export class AdminApiError extends Error {
  readonly code: string;
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  constructor(code: string, status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AdminApiError';
    this.code = code;
    this.status = status;
  }
}

/** Whether the data plane could not be asked at all, or was too busy: the same call may succeed later. */
export function isOutage(error: unknown): error is AdminApiError {
  return (
    error instanceof AdminApiError &&
    (error.code === 'Unreachable' ||
      error.code === 'Malformed' ||
      error.code === 'Busy' ||
      error.status === 500)
  );
}

/** Whether this is the data plane's refusal of that code. */
export function isRefusal(error: unknown, ...codes: readonly string[]): error is AdminApiError {
  return error instanceof AdminApiError && codes.includes(error.code);
}
