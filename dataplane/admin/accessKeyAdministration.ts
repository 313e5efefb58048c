/**
 * What the admin API asks about access keys. Implemented by the jobs (dataplane/jobs/accessKeyAdministration.ts); every
 * call rejects with AdminError. No answer holds a secret.
 */
import type { z } from 'zod';
import type { AccessKey, AccessKeyPage, accessKeyPageQuery, putAccessKey } from './schema/accessKeys.ts';

export interface AccessKeyAdministration {
  /** By id. One whose row was edited is left out, and told in the log. */
  accessKeys(query: z.output<typeof accessKeyPageQuery>): Promise<AccessKeyPage>;
  /** 'NoSuchAccessKey'; 'AccessKeyTaken' when it has another owner than the one given. */
  accessKey(accessKeyId: string, owner: string | null): Promise<AccessKey>;
  /** Makes it, or replaces what differs, and nothing is written when nothing does. 'AccessKeyTaken', 'InvalidArgument'. */
  putAccessKey(accessKeyId: string, declared: z.output<typeof putAccessKey>): Promise<AccessKey>;
  /**
   * Revoked once this resolves: no thread takes it any more. 'NoSuchAccessKey'; 'AccessKeyTaken' when it has another owner
   * than the one given. Without an owner it goes even when its row was edited.
   */
  deleteAccessKey(accessKeyId: string, owner: string | null): Promise<void>;
}
