/** One access entry on its way: what its steps are given, and what they come to. */
import type { AccessEntry, EncryptedBucket } from '../../../crds/encryptedbucket.ts';
import type { Clock } from '../../clock.ts';
import type { Cache, KubeApi, KubeError } from '../../kube/kubeApi.ts';
import type { ObjectKey } from '../../kube/resource.ts';
import type { ReasonOf } from '../reasons.ts';
import type { PreviousKey } from './accessSecret.ts';
import type { RandomBytes } from './credentials.ts';
import type { EntryKeys } from './entryKeys.ts';

export interface AccessDeps {
  readonly kube: KubeApi;
  /** Metadata of Secrets, with SECRET_INDEXES. */
  readonly secrets: Cache;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly fleetName: string;
}

export interface EntryProblem {
  readonly reason: ReasonOf<'AccessReady'>;
  readonly message: string;
}

/** One entry with all that its steps need. */
export interface EntryContext {
  readonly deps: AccessDeps;
  readonly keys: EntryKeys;
  readonly bucket: EncryptedBucket;
  readonly owner: string;
  readonly entry: AccessEntry;
  readonly secretKey: ObjectKey;
  /** Of the Secret, beside the credential. */
  readonly content: Readonly<Record<string, string>>;
  /** Value of the rotation annotation; empty: none. */
  readonly asked: string;
  readonly signal: AbortSignal;
}

export interface EntryState {
  /** Name of the entry. */
  readonly entry: string;
  /** The key that the Secret holds; null: none works. */
  readonly keyId: string | null;
  readonly previous: readonly PreviousKey[];
  readonly imported: boolean;
  /** A request to rotate was carried out just now. */
  readonly rotated: boolean;
  readonly problem: EntryProblem | null;
}

/** An entry without a key that works. */
export const noKeys = ({ entry }: EntryContext, problem: EntryProblem): EntryState => ({
  entry: entry.name,
  keyId: null,
  previous: [],
  imported: false,
  rotated: false,
  problem,
});

/** Of a Secret that the API server would not let be changed, or did not. `error` null: it is immutable. */
export function notWritable(secretName: string, error: KubeError | null): EntryProblem {
  const message =
    error === null
      ? `Secret ${secretName} is immutable and would have to be changed`
      : `The API server refuses to write Secret ${secretName}: ${error.message}`;
  return { reason: 'SecretNotWritable', message };
}
