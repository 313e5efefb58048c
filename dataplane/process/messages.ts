/** What the main thread and an S3 worker thread say to each other. */
import type { KeyObject } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import type { ListenAddress, LogLevel, ServerTls, Settings } from '../config/settings.ts';
import type { Id } from '../metadata/metadata.ts';
import type { MetricsSnapshot } from '../monitoring/aggregate.ts';
import type { EndingTimes } from './endingTimes.ts';
import { rootOwnerId } from './identity.ts';

/** The part of the settings that a worker needs, and no more: KMS credentials and the admin token are not in it. */
export interface WorkerSettings {
  readonly region: string;
  readonly domains: readonly string[];
  readonly tls: ServerTls | null;
  readonly policy: Settings['policy'];
  readonly defaultKmsConnection: string | null;
  readonly keyNamePrefixes: ReadonlyMap<string, string>;
  readonly installationId: string;
  readonly root: { readonly accessKeyId: string; readonly secretAccessKey: string; readonly ownerId: string };
  readonly logLevel: LogLevel;
}

/** The workerData of an S3 worker thread. */
export interface WorkerStart {
  readonly index: number;
  readonly incarnation: string;
  readonly settings: WorkerSettings;
  /** For the MACs of the rows that it reads. */
  readonly controlKey: KeyObject;
  /** Opens the secrets of access keys, each under a salt of its own. Threads share one native copy of it. */
  readonly installationKey: KeyObject;
  readonly metadataPath: string;
  readonly blobsPath: string;
  readonly freeSpaceReserveBytes: number;
  readonly listen: ListenAddress;
  /** Whether other workers listen on the same port. */
  readonly sharedPort: boolean;
  readonly balance: SharedArrayBuffer;
  readonly writerPort: MessagePort;
  readonly keysPort: MessagePort;
}

export type ToWorker =
  | { readonly type: 'settings'; readonly settings: WorkerSettings }
  | { readonly type: 'metrics' }
  /** Which bodies are being read? */
  | { readonly type: 'openBodies' }
  /** Stop accepting, finish what is in flight, refuse and cut what is left, close. */
  | { readonly type: 'drain'; readonly times: Pick<EndingTimes, 'drainMs' | 'tellMs'> };

export type FromWorker =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'metrics'; readonly snapshot: MetricsSnapshot }
  | { readonly type: 'openBodies'; readonly bodies: readonly Id[] }
  /** `cut`: some requests were still in flight at the limit. */
  | { readonly type: 'drained'; readonly cut: boolean };

/** A worker's part of the settings. */
export function workerSettings(settings: Settings): WorkerSettings {
  return {
    region: settings.installation.region,
    domains: settings.s3.domains,
    tls: settings.s3.tls,
    policy: settings.policy,
    defaultKmsConnection: settings.defaultKmsConnection,
    keyNamePrefixes: new Map(settings.kmsConnections.map(({ name, keyNamePrefix }) => [name, keyNamePrefix])),
    installationId: settings.installation.id,
    root: { ...settings.rootCredentials, ownerId: rootOwnerId(settings.installation.id) },
    logLevel: settings.log.level,
  };
}
