/**
 * What the S3 server of one worker thread is given: everything that it may use of the rest of the process.
 *
 * Owns only this contract. Process builds it (dataplane/process/workerThread.ts), the S3 server reads it.
 */
import type { Server } from 'node:http';
import type { Logger } from 'pino';
import type { CredentialLookup } from '../auth/credentials.ts';
import type { BlobStore } from '../blobs/blobs.ts';
import type { Allowance } from '../config/settings.ts';
import type { RandomSource } from '../crypto/random.ts';
import type { KeyProvider } from '../keys/keys.ts';
import type { Id, Metadata } from '../metadata/metadata.ts';
import type { S3Metrics } from '../monitoring/s3Metrics.ts';
import type { ListKeys } from '../objects/listKeys.ts';

/** Settings of the S3 server. A reload of the configuration replaces the whole object. */
export interface S3Settings {
  readonly region: string;
  /** Domains of virtual-host addressing, lower case; may be empty. */
  readonly domains: readonly string[];
  readonly policy: { readonly plainBuckets: Allowance; readonly copyToPlain: Allowance };
  /** For buckets made over S3; null = encrypted buckets cannot be made. */
  readonly defaultKmsConnection: string | null;
  readonly installationId: Id;
  /** One life of this process. */
  readonly incarnation: Id;
  /** Start of the names of keys made over that connection; KmsError 'UnknownConnection' when there is none. */
  keyNamePrefix(connection: string): string;
}

/** Keeps many connections spread over the workers although the kernel spreads few badly (docs/operations.md). */
export interface ConnectionBalance {
  /** This worker accepted a connection. */
  opened(): void;
  /** One of its connections ended. */
  closed(): void;
  /** True when this worker should answer `Connection: close`, so that the client comes back elsewhere. */
  overloaded(): boolean;
}

export interface S3Services {
  /** Read it at every request, keep no copy. */
  readonly settings: S3Settings;
  readonly credentials: CredentialLookup;
  readonly metadata: Metadata;
  readonly blobs: BlobStore;
  readonly keys: KeyProvider;
  readonly log: Logger;
  readonly metrics: S3Metrics;
  readonly balance: ConnectionBalance;
  /** For salts, keys and identifiers. */
  readonly random: RandomSource;
  readonly listKeys: ListKeys;
  /** Wall clock, Unix milliseconds. */
  now(): number;
}

export interface S3Server {
  /** Not listening yet; the process binds it. */
  readonly server: Server;
  /** From now on answers carry `Connection: close`; resolves when no request is in flight any more. */
  drain(): Promise<void>;
  /** Answers 503 to requests that are still sending their body: for those that `drain` waits for in vain. */
  refuseBodies(): void;
}
