/** Verifies what a bucket hangs on: its document, its key versions, what it is said to hold. */

import { type BucketDocument, type BucketEntry, type KeyUses, MetadataError } from '../metadata/metadata.ts';
import { type Checks, Doubts } from './checks.ts';
import { BucketKeys } from './stores.ts';
import { verifyObjects } from './verifyObjects.ts';
import { verifyUploads } from './verifyUploads.ts';

const NO_USES: KeyUses = { versions: 0, uploads: 0 };
const RETIRED: ReadonlySet<string> = new Set(['Retiring', 'Revoked', 'Destroyed']);

/** A bucket with everything in it whose key starts with the prefix. */
export async function verifyBucket(checks: Checks, entry: BucketEntry, prefix: Uint8Array): Promise<void> {
  const { name, bucket } = entry;
  const doubts = new Doubts();
  const keys = new BucketKeys(checks.stores, entry.bucketUid);
  if (bucket instanceof MetadataError) {
    doubts.add({ bucket: name }, `${bucket.message}: nothing in the bucket was checked`);
  } else {
    await checkKeyVersions(checks, doubts, bucket, keys);
    if (prefix.byteLength === 0) {
      await checkUsage(checks, doubts, bucket);
      await checkKeyUses(checks, doubts, bucket);
    }
  }
  const stillThere = async (): Promise<boolean> => {
    const now = await checks.stores.metadata.bucketEntry(name);
    return now?.bucketUid === entry.bucketUid;
  };
  await doubts.settle(checks, stillThere);
  if (bucket instanceof MetadataError) return;
  const reading = new Doubts();
  await reading.attempt({ bucket: name }, async () => {
    await verifyObjects(checks, bucket, keys, prefix);
    await verifyUploads(checks, bucket, keys, prefix);
  });
  await reading.settle(checks, stillThere);
}

/** Every row must be authentic, and the key that it names the one that was made. */
async function checkKeyVersions(
  { stores }: Checks,
  doubts: Doubts,
  bucket: BucketDocument,
  keys: BucketKeys,
): Promise<void> {
  const entries = await stores.metadata.keyVersionEntries(bucket.bucketUid);
  for (const { n, keyVersion } of entries) {
    const place = { bucket: bucket.name, keyVersion: n };
    if (keyVersion instanceof MetadataError) doubts.add(place, keyVersion.message);
    else if (keyVersion.state === 'Current' || keyVersion.state === 'Readable')
      await doubts.attempt(place, () => keys.key(n));
  }
  const current = bucket.keyVersion;
  if (bucket.state === 'Ready' && current !== null && !entries.some(({ n }) => n === current))
    doubts.add({ bucket: bucket.name, keyVersion: current }, 'the key version of the bucket has no row');
}

async function checkUsage(checks: Checks, doubts: Doubts, bucket: BucketDocument): Promise<void> {
  const { stored, counted } = await checks.stores.metadata.usageEntry(bucket.bucketUid);
  if (stored === null) {
    doubts.add({ bucket: bucket.name }, 'the bucket has no usage row');
    return;
  }
  if (stored.objects === counted.objects && stored.bytes === counted.bytes) return;
  const says = `usage says ${stored.objects} objects of ${stored.bytes} bytes`;
  doubts.add({ bucket: bucket.name }, `${says}, there are ${counted.objects} of ${counted.bytes} bytes`);
}

/** A count that is too low lets a key be revoked that something needs; so does a row under a key that is out of use. */
async function checkKeyUses({ stores }: Checks, doubts: Doubts, bucket: BucketDocument): Promise<void> {
  const { stored, counted } = await stores.metadata.keyUsesEntry(bucket.bucketUid);
  const entries = await stores.metadata.keyVersionEntries(bucket.bucketUid);
  for (const n of new Set([...stored.keys(), ...counted.keys()])) {
    const says = stored.get(n) ?? NO_USES;
    const are = counted.get(n) ?? NO_USES;
    const wrong: string[] = [];
    const row = entries.find((entry) => entry.n === n)?.keyVersion;
    const outOfUse = row !== undefined && !(row instanceof MetadataError) && RETIRED.has(row.state);
    if (outOfUse && are.versions + are.uploads > 0)
      wrong.push(
        `${are.versions} objects and ${are.uploads} uploads are under a key version that is ${row.state}`,
      );
    if (says.versions !== are.versions || says.uploads !== are.uploads) {
      const kept = `${says.versions} objects and ${says.uploads} uploads are said to be under the key version`;
      wrong.push(`${kept}, there are ${are.versions} and ${are.uploads}`);
    }
    // A place is told once.
    if (wrong.length > 0) doubts.add({ bucket: bucket.name, keyVersion: n }, wrong.join('; '));
  }
}
