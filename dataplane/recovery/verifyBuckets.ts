/** Verifies what a bucket hangs on: its document, its key versions, what it is said to hold. */

import type { BucketEntry } from '../metadata/metadata.ts';
import { type BucketDocument, MetadataError } from '../metadata/metadata.ts';
import { type Checks, Doubts } from './checks.ts';
import { BucketKeys } from './stores.ts';
import { verifyObjects } from './verifyObjects.ts';
import { verifyUploads } from './verifyUploads.ts';

/** A bucket with everything in it whose key starts with the prefix. */
export async function verifyBucket(checks: Checks, entry: BucketEntry, prefix: Uint8Array): Promise<void> {
  const { name, bucket } = entry;
  const doubts = new Doubts();
  const keys = new BucketKeys(checks.stores, entry.bucketUid);
  if (bucket instanceof MetadataError) {
    doubts.add({ bucket: name }, `${bucket.message}: nothing in the bucket was checked`);
  } else {
    await checkKeyVersions(checks, doubts, bucket, keys);
    if (prefix.byteLength === 0) await checkUsage(checks, doubts, bucket);
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
    else if (keyVersion.state === 'Current') await doubts.attempt(place, () => keys.key(n));
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
