/** What the main thread and the jobs thread say to each other. */
import type { KeyObject } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import type { AccessKeyAdministration } from '../admin/accessKeyAdministration.ts';
import type { AdminErrorCode } from '../admin/errors.ts';
import type { KeyAdministration } from '../admin/keyAdministration.ts';
import type { Id } from '../metadata/metadata.ts';
import type { MetricsSnapshot } from '../monitoring/aggregate.ts';
import type { WorkerSettings } from './messages.ts';

/** The part of the settings that the jobs need. */
export interface JobsSettings extends Pick<WorkerSettings, 'keyNamePrefixes' | 'logLevel' | 'region'> {
  /** No access key may have the root's id. */
  readonly rootAccessKeyId: string;
  /** S3's owner of declared buckets. */
  readonly ownerId: string;
}

/** The workerData of the jobs thread. */
export interface JobsStart {
  readonly incarnation: string;
  readonly settings: JobsSettings;
  /** For the MACs of the rows that it reads. */
  readonly controlKey: KeyObject;
  /** Seals the secrets of access keys. */
  readonly installationKey: KeyObject;
  readonly metadataPath: string;
  readonly blobsPath: string;
  /** Below this much free space no blob is begun. */
  readonly freeSpaceReserveBytes: number;
  readonly writerPort: MessagePort;
  readonly keysPort: MessagePort;
}

/** Everything that the main thread asks of the jobs for the admin API. */
export type Administration = KeyAdministration & AccessKeyAdministration;

/** One call of the administration, with its arguments. */
export type AdministrationCall = {
  [Name in keyof Administration]: {
    readonly name: Name;
    readonly args: Parameters<Administration[Name]>;
  };
}[keyof Administration];

export type ToJobs =
  | { readonly type: 'settings'; readonly settings: JobsSettings }
  | { readonly type: 'metrics' }
  | { readonly type: 'openBodies' }
  | { readonly type: 'call'; readonly id: number; readonly call: AdministrationCall }
  /** End after the step under way. */
  | { readonly type: 'stop' };

export type FromJobs =
  | { readonly type: 'ready' }
  | { readonly type: 'metrics'; readonly snapshot: MetricsSnapshot }
  | { readonly type: 'openBodies'; readonly bodies: readonly Id[] }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  /** `code` null: a defect, which the log has. */
  | {
      readonly type: 'failure';
      readonly id: number;
      readonly code: AdminErrorCode | null;
      readonly message: string;
    }
  | { readonly type: 'stopped' };
