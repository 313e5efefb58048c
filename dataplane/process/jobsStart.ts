/** What the main thread joins the jobs thread to. */
import { AdminError } from '../admin/errors.ts';
import type { Settings } from '../config/settings.ts';
import type { KeyHolder } from '../keys/holder.ts';
import { KmsError } from '../keys/keys.ts';
import type { Id } from '../metadata/metadata.ts';
import { Jobs } from './jobs.ts';
import type { JobsSettings } from './jobsMessages.ts';
import { workerSettings } from './messages.ts';
import type { ThreadFailed } from './s3Worker.ts';
import type { Storage } from './storage.ts';

export interface StartJobsOptions {
  readonly settings: Settings;
  readonly incarnation: Id;
  readonly storage: Pick<Storage, 'connect' | 'forWorkers'>;
  readonly keys: Pick<KeyHolder, 'connect'>;
  readonly failed: ThreadFailed;
}

/** The jobs' part of the settings. */
export function jobsSettings(settings: Settings): JobsSettings {
  const { keyNamePrefixes, logLevel, region, root } = workerSettings(settings);
  return { keyNamePrefixes, logLevel, region, ownerId: root.ownerId, rootAccessKeyId: root.accessKeyId };
}

/** Starts the thread; resolves once it works. */
export async function startJobs(options: StartJobsOptions): Promise<Jobs> {
  const { settings, incarnation, storage, keys, failed } = options;
  const jobs = new Jobs(
    {
      incarnation,
      settings: jobsSettings(settings),
      ...storage.forWorkers,
      writerPort: storage.connect(),
      keysPort: keys.connect(),
    },
    failed,
  );
  await jobs.ready();
  return jobs;
}

/** Forgets the cached keys of a connection on every thread. Rejects with AdminError 'NoSuchConnection'. */
export async function flushKeys(keys: Pick<KeyHolder, 'flush'>, connection: string): Promise<void> {
  try {
    await keys.flush(connection);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    throw new AdminError('NoSuchConnection', error.message, { cause: error });
  }
}
