/** Access keys as verify and inspect look at them: every row must be authentic. Secrets stay sealed. */
import { type AccessKeyEntry, type Metadata, MetadataError } from '../metadata/metadata.ts';
import type { Checks } from './checks.ts';
import type { Shown, Verdicts } from './explanation.ts';

const KEYS_PER_PAGE = 64;

interface KeyRows {
  readonly metadata: Pick<Metadata, 'listAccessKeys'>;
}

async function* accessKeysIn({ metadata }: KeyRows): AsyncGenerator<AccessKeyEntry> {
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: readonly AccessKeyEntry[] = await metadata.listAccessKeys({
      owner: null,
      after,
      limit: KEYS_PER_PAGE,
    });
    yield* page;
    after = page.at(-1)?.accessKeyId;
  }
}

/** Tells of each row that is not what was written. */
export async function verifyAccessKeys(checks: Checks): Promise<void> {
  for await (const { accessKeyId, accessKey } of accessKeysIn(checks.stores)) {
    if (accessKey instanceof MetadataError) checks.found({ accessKeyId, what: accessKey.message });
  }
}

/** Every access key with its grants. */
export async function describeAccessKeys(stores: KeyRows, verdicts: Verdicts): Promise<Shown[]> {
  const shown: Shown[] = [];
  for await (const { accessKeyId, accessKey } of accessKeysIn(stores)) {
    if (accessKey instanceof MetadataError) {
      shown.push({ accessKeyId, controlMac: verdicts.fault(`access key ${accessKeyId}`, accessKey.message) });
      continue;
    }
    const { owner, expiresMs, grants } = accessKey;
    shown.push({
      accessKeyId,
      owner,
      expiresMs,
      grants: grants.map(({ bucket, prefix, permissions }) => ({
        bucket,
        prefix,
        permissions: permissions.join(' '),
      })),
    });
  }
  return shown;
}
