/** Explains a bucket, or all of them. */

import type { BucketEntry, KeyVersionEntry } from '../metadata/metadata.ts';
import { type KeyVersionDocument, MetadataError } from '../metadata/metadata.ts';
import { describeAccessKeys } from './accessKeys.ts';
import { type Explanation, type Shown, Verdicts } from './explanation.ts';
import { BucketKeys, NotFoundError, type Stores } from './stores.ts';

const BUCKETS_PER_PAGE = 64;

export interface InspectOptions {
  /** Whether the KMS is asked for keys. */
  readonly askKms: boolean;
  /** Whether ETag, checksums, headers and user metadata are shown. */
  readonly showPrivate: boolean;
}

/** NotFoundError when there is no such bucket. */
export async function requireBucketEntry({ metadata }: Stores, name: string): Promise<BucketEntry> {
  const entry = await metadata.bucketEntry(name);
  if (entry === null) throw new NotFoundError(`there is no bucket ${name}`);
  return entry;
}

/** Every bucket and every access key in a few words. */
export async function inspectInstallation({ metadata }: Stores): Promise<Explanation> {
  const verdicts = new Verdicts();
  const buckets: Shown[] = [];
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: readonly BucketEntry[] = await metadata.listEveryBucket({ after, limit: BUCKETS_PER_PAGE });
    for (const { name, bucketUid, bucket } of page) {
      if (bucket instanceof MetadataError) {
        buckets.push({
          bucket: name,
          bucketUid,
          controlMac: verdicts.fault(`bucket ${name}`, bucket.message),
        });
        continue;
      }
      const { encryption, state } = bucket;
      const { objects, bytes } = await metadata.usage(bucketUid);
      buckets.push({ bucket: name, bucketUid, state, encryption, objects, bytes });
    }
    after = page.at(-1)?.name;
  }
  const accessKeys = await describeAccessKeys({ metadata }, verdicts);
  const incarnations = [...(await metadata.incarnations())];
  const { wrong, unknown } = verdicts;
  return { report: { buckets, accessKeys, incarnations }, wrong, unknown };
}

/** Settings, key versions and usage of one bucket. NotFoundError when there is none. */
export async function inspectBucket(
  stores: Stores,
  name: string,
  options: InspectOptions,
): Promise<Explanation> {
  const { metadata } = stores;
  const entry = await requireBucketEntry(stores, name);
  const { bucketUid, bucket } = entry;
  const verdicts = new Verdicts();
  const keys = new BucketKeys(stores, bucketUid);
  const keyVersions: Shown[] = [];
  for (const version of await metadata.keyVersionEntries(bucketUid))
    keyVersions.push(await describeKeyVersion(version, keys, verdicts, options));
  const { stored, counted } = await metadata.usageEntry(bucketUid);
  if (stored === null) verdicts.fault('usage', 'the bucket has no usage row');
  else if (stored.objects !== counted.objects || stored.bytes !== counted.bytes)
    verdicts.fault('usage', 'the rows add up to something else');
  const report = {
    bucket: name,
    bucketUid,
    ...(bucket instanceof MetadataError
      ? { controlMac: verdicts.fault(`bucket ${name}`, bucket.message) }
      : { controlMac: 'authentic', ...settingsOf(bucket) }),
    keyVersions,
    usage: stored === null ? null : { ...stored },
    rows: { ...counted },
  };
  return { report, wrong: verdicts.wrong, unknown: verdicts.unknown };
}

function settingsOf(bucket: Exclude<BucketEntry['bucket'], MetadataError>): { [name: string]: Shown } {
  const { state, encryption, keyVersion, everPlain, versioning, ownerId, region, createdMs, revision } =
    bucket;
  return { state, encryption, keyVersion, everPlain, versioning, ownerId, region, createdMs, revision };
}

async function describeKeyVersion(
  { n, keyVersion }: KeyVersionEntry,
  keys: BucketKeys,
  verdicts: Verdicts,
  { askKms }: InspectOptions,
): Promise<Shown> {
  const subject = `key version ${n}`;
  if (keyVersion instanceof MetadataError)
    return { n, controlMac: verdicts.fault(subject, keyVersion.message) };
  const { kmsConnection, kmsName, kmsId, keyCheckValue, state, reservedMs } = keyVersion;
  const key = await keyState(n, keyVersion, keys, verdicts, askKms);
  return { n, controlMac: 'authentic', state, kmsConnection, kmsName, kmsId, keyCheckValue, reservedMs, key };
}

async function keyState(
  n: number,
  { kmsId, keyCheckValue }: KeyVersionDocument,
  keys: BucketKeys,
  verdicts: Verdicts,
  askKms: boolean,
): Promise<string> {
  if (!askKms) return 'not asked for';
  if (kmsId === null || keyCheckValue === null) return 'not made yet';
  return await verdicts.of(`key version ${n}`, 'the KMS gave it, and it is the one that was made', () =>
    keys.key(n),
  );
}
