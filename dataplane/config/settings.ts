/**
 * The settings of the process as the loader hands them on: defaults filled in, paths absolute, secrets read.
 *
 * Everything here survives structured cloning, so that threads can be given it as it is. It holds secrets: never
 * log it.
 */
import type { KeyObject } from 'node:crypto';
import type { KmsConnectionSettings } from '../keys/settings.ts';

/** Where to listen. Port 0 = any free port; the ready line of the log tells which. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

export type Allowance = 'Allowed' | 'Refused';

/** PEM texts; `key` is a secret. */
export interface ServerTls {
  readonly cert: string;
  readonly key: string;
}

export interface Settings {
  readonly installation: { readonly id: string; readonly region: string; readonly key: KeyObject };
  readonly s3: {
    readonly listen: ListenAddress;
    readonly domains: readonly string[];
    readonly tls: ServerTls | null;
  };
  readonly admin: {
    readonly listen: ListenAddress;
    /** Each of them opens the admin port. The first is the newest. */
    readonly tokens: readonly string[];
    readonly tls: ServerTls | null;
  };
  readonly monitoring: { readonly listen: ListenAddress };
  readonly metadata: { readonly engine: 'sqlite'; readonly path: string };
  readonly blobs: { readonly engine: 'filesystem'; readonly path: string };
  readonly kmsConnections: readonly KmsConnectionSettings[];
  readonly defaultKmsConnection: string | null;
  readonly rootCredentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly policy: { readonly plainBuckets: Allowance; readonly copyToPlain: Allowance };
  readonly gc: { readonly graceMs: number };
  /** The process ends within this time after SIGTERM. */
  readonly shutdownLimitMs: number;
  /** S3 worker threads; auto = the cores that this process may use. */
  readonly workers: number | 'auto';
  readonly log: { readonly level: LogLevel };
}

/** A connection of connectionsDir that is in force. */
export interface ConnectionInForce {
  /** Name of its file, without the folder. */
  readonly file: string;
  readonly settings: KmsConnectionSettings;
  readonly revision: string | null;
}

/** A file of connectionsDir that is not in force as it is now; the last good one of that name, if any, still is. */
export interface RefusedConnection {
  readonly file: string;
  readonly problems: readonly string[];
  /** Since when, Unix ms. */
  readonly sinceMs: number;
}

/** What connectionsDir held when it was read. */
export interface Connections {
  readonly inForce: readonly ConnectionInForce[];
  readonly refused: readonly RefusedConnection[];
}

export interface LoadedConfig {
  /** Absolute path of the configuration file. */
  readonly file: string;
  /**
   * 32 hex characters that change whenever the file or a file that it names changes; keyed with the installation
   * key, so that it tells nothing about the secrets among them.
   */
  readonly hash: string;
  /** The file's own `revision`. */
  readonly revision: string | null;
  /** `settings.kmsConnections` has those in force too. */
  readonly connections: Connections;
  /** Absolute path of connectionsDir. */
  readonly connectionsDir: string | null;
  readonly settings: Settings;
  /** What is allowed but unwise, to be logged; one sentence each. */
  readonly warnings: readonly string[];
}
