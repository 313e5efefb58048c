/** What the admin API asks about access keys, answered in the jobs' thread: the main thread reads no metadata. */
import type { KeyObject } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { AccessKeyAdministration } from '../admin/accessKeyAdministration.ts';
import { AdminError } from '../admin/errors.ts';
import type { AccessKey } from '../admin/schema/accessKeys.ts';
import { openStoredSecret } from '../auth/accessKeyCredentials.ts';
import { sealAccessKeySecret } from '../crypto/accessKeySecret.ts';
import type { RandomSource } from '../crypto/random.ts';
import { type AccessKeyDocument, type AccessKeys, MetadataError } from '../metadata/metadata.ts';
import type { JobLog } from './jobLog.ts';

export interface AccessKeyAdministrationOptions {
  readonly metadata: AccessKeys;
  readonly installationKey: KeyObject;
  /** The id that belongs to the root credentials; a reload may change it. */
  readonly rootAccessKeyId: () => string;
  readonly random: RandomSource;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
  readonly log: JobLog;
}

/** Every call rejects with AdminError, but for defects and rows that were edited. */
export function administerAccessKeys(options: AccessKeyAdministrationOptions): AccessKeyAdministration {
  const { metadata, installationKey, rootAccessKeyId, random, now, log } = options;

  const find = (accessKeyId: string, owner: string | null): AccessKeyDocument => {
    const found = metadata.accessKey(accessKeyId);
    if (found === null) throw noSuchKey(accessKeyId);
    if (owner !== null && found.owner !== owner) throw taken(accessKeyId);
    return found;
  };

  const put: AccessKeyAdministration['putAccessKey'] = async (accessKeyId, declared) => {
    const { owner, grants, secretAccessKey, ownBucketsOnly } = declared;
    if (accessKeyId === rootAccessKeyId()) throw taken(accessKeyId);
    const found = metadata.accessKey(accessKeyId);
    if (found !== null && found.owner !== owner) throw taken(accessKeyId);
    const expiresMs = declared.expiresAt === null ? null : Date.parse(declared.expiresAt);
    const secret = secretFor(accessKeyId, found, secretAccessKey);
    const unchanged =
      found !== null &&
      secret === null &&
      found.expiresMs === expiresMs &&
      isDeepStrictEqual(found.grants, grants);
    if (unchanged) return report(found);
    const changed: AccessKeyDocument = {
      accessKeyId,
      revision: found === null ? 0 : found.revision + 1,
      owner,
      grants,
      createdMs: found?.createdMs ?? now(),
      expiresMs,
      secretSalt: found?.secretSalt ?? '',
      sealedSecret: found?.sealedSecret ?? '',
      ...secret,
    };
    await metadata.putAccessKey(changed, ownBucketsOnly);
    log.info({ accessKeyId, owner, made: found === null }, 'an access key was declared');
    return report(changed);
  };

  /** The sealed form of a new secret; null: that of the row stays. */
  function secretFor(
    accessKeyId: string,
    found: AccessKeyDocument | null,
    secretAccessKey: string | undefined,
  ): Pick<AccessKeyDocument, 'secretSalt' | 'sealedSecret'> | null {
    if (secretAccessKey === undefined) {
      if (found !== null) return null;
      throw new AdminError('InvalidArgument', 'secretAccessKey: must be given for a new access key');
    }
    if (found !== null && openStoredSecret(installationKey, found) === secretAccessKey) return null;
    const sealed = sealAccessKeySecret(installationKey, accessKeyId, secretAccessKey, random);
    return {
      secretSalt: sealed.secretSalt.toString('base64'),
      sealedSecret: sealed.sealedSecret.toString('base64'),
    };
  }

  return {
    accessKeys: ({ owner, after, limit }) =>
      translated(async () => {
        const entries = await metadata.listAccessKeys({ owner: owner ?? null, after, limit });
        const accessKeys = entries.flatMap(({ accessKeyId, accessKey }) => {
          if (!(accessKey instanceof MetadataError)) return [report(accessKey)];
          log.error({ err: accessKey, accessKeyId }, 'an access key cannot be told');
          return [];
        });
        const last = entries.length < limit ? undefined : entries.at(-1);
        return { accessKeys, next: last?.accessKeyId ?? null };
      }),
    accessKey: (accessKeyId, owner) => translated(async () => report(find(accessKeyId, owner))),
    putAccessKey: (accessKeyId, declared) => translated(() => put(accessKeyId, declared)),
    deleteAccessKey: (accessKeyId, owner) =>
      translated(async () => {
        const revision = owner === null ? null : find(accessKeyId, owner).revision;
        if (!(await metadata.deleteAccessKey(accessKeyId, revision))) throw noSuchKey(accessKeyId);
        log.info({ accessKeyId, owner }, 'an access key was revoked');
      }),
  };
}

function report({ accessKeyId, owner, grants, createdMs, expiresMs }: AccessKeyDocument): AccessKey {
  return {
    accessKeyId,
    owner,
    grants: [...grants],
    createdAt: new Date(createdMs).toISOString(),
    expiresAt: expiresMs === null ? null : new Date(expiresMs).toISOString(),
  };
}

function noSuchKey(accessKeyId: string): AdminError {
  return new AdminError('NoSuchAccessKey', `there is no access key ${accessKeyId}`);
}

function taken(accessKeyId: string): AdminError {
  return new AdminError('AccessKeyTaken', `the access key ${accessKeyId} belongs to somebody else`);
}

async function translated<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (!(cause instanceof MetadataError)) throw cause;
    if (cause.code === 'Conflict') throw new AdminError('Conflict', cause.message, { cause });
    if (cause.code === 'Busy' || cause.code === 'NoSpace')
      throw new AdminError('Busy', cause.message, { cause });
    throw cause;
  }
}
