/** Verifies the versions of a bucket: record, listing, body. */
import { createHash } from 'node:crypto';
import { listKey, maskEtag } from '../crypto/listEtag.ts';
import type { BucketDocument, ObjectVersion } from '../metadata/metadata.ts';
import type { AuditedVersion } from '../metadata/sqlite/reads.ts';
import { sendBody } from '../objects/bodyReader.ts';
import { type OpenedVersion, openVersion } from '../objects/version.ts';
import { type Checks, checkBlob, Doubts } from './checks.ts';
import type { Place } from './findings.ts';
import { startsWith } from './keyPrefix.ts';
import type { BucketKeys } from './stores.ts';
import { checkParts } from './verifyParts.ts';

/** Versions held in memory at once; each may bring an inline body. */
const VERSIONS_PER_PAGE = 64;
const KEYS_PER_PAGE = 256;

/** Every version whose key starts with the prefix, and every row of the listings. */
export async function verifyObjects(
  checks: Checks,
  bucket: BucketDocument,
  keys: BucketKeys,
  prefix: Uint8Array,
): Promise<void> {
  const { bucketUid, name } = bucket;
  let after: Pick<AuditedVersion, 'key' | 'seq'> | null = { key: prefix, seq: -1 };
  while (after !== null) {
    const page: readonly AuditedVersion[] = await checks.stores.metadata.versions({
      bucketUid,
      after,
      limit: VERSIONS_PER_PAGE,
    });
    for (const entry of page) {
      if (!startsWith(entry.key, prefix)) break;
      await verifyVersion(checks, bucket, keys, entry);
      checks.progress.addObject();
    }
    const last = page.at(-1);
    after = last !== undefined && startsWith(last.key, prefix) ? last : null;
  }
  for (let afterKey: Uint8Array | undefined = new Uint8Array(0); afterKey !== undefined; ) {
    const stray: readonly Uint8Array[] = await checks.stores.metadata.strayKeys(
      bucketUid,
      afterKey,
      KEYS_PER_PAGE,
    );
    for (const key of stray) {
      if (startsWith(key, prefix))
        checks.found({ bucket: name, key, what: 'listings show a version that is not there' });
    }
    afterKey = stray.at(-1);
  }
}

async function verifyVersion(
  checks: Checks,
  bucket: BucketDocument,
  keys: BucketKeys,
  entry: AuditedVersion,
): Promise<void> {
  const doubts = new Doubts();
  const { key, seq, version } = entry;
  const place = { bucket: bucket.name, key };
  if (version instanceof Error) doubts.add(place, version.message);
  else await checkVersion(checks, doubts, bucket, keys, entry, version);
  await doubts.settle(checks, async () => {
    const again = { bucketUid: bucket.bucketUid, after: { key, seq: seq - 1 }, limit: 1 };
    const [now] = await checks.stores.metadata.versions(again);
    return now !== undefined && now.seq === seq && Buffer.compare(now.key, key) === 0;
  });
}

async function checkVersion(
  checks: Checks,
  doubts: Doubts,
  bucket: BucketDocument,
  keys: BucketKeys,
  entry: AuditedVersion,
  version: ObjectVersion,
): Promise<void> {
  const { versionId, key } = version;
  const place: Place = { bucket: bucket.name, key, versionId };
  const wrong = listingFault(entry, version);
  if (wrong !== null) doubts.add(place, wrong);
  const { descriptor } = version;
  if (descriptor !== null) {
    const keyPlace = { bucket: bucket.name, keyVersion: descriptor.n };
    if ((await doubts.attempt(keyPlace, () => keys.key(descriptor.n))) === null) return;
  }
  const opened = await doubts.attempt(place, () => openVersion(bucket, version, (n) => keys.key(n)));
  if (opened === null) return;
  if (wrong === null) await doubts.attempt(place, () => checkListedEtag(doubts, place, entry, opened));
  await checkBody(checks, doubts, place, opened);
}

/** What is wrong with the row of listings, but for its ETag. */
function listingFault({ listed, newestSeq }: AuditedVersion, version: ObjectVersion): string | null {
  if (newestSeq !== version.seq) return null;
  if (listed === null) return 'listings do not show the object';
  const { descriptor } = version;
  const same =
    listed.seq === version.seq &&
    listed.versionId === version.versionId &&
    listed.size === version.size &&
    listed.lastModifiedMs === version.lastModifiedMs &&
    listed.etagParts === version.partCount &&
    listed.n === (descriptor?.n ?? null) &&
    sameBytes(listed.wrapSalt, descriptor?.wrapSalt ?? null);
  return same ? null : 'listings say something else than the newest version';
}

function sameBytes(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0;
}

function checkListedEtag(
  doubts: Doubts,
  place: Place,
  { listed, newestSeq }: AuditedVersion,
  { version, record, keys }: OpenedVersion,
): void {
  if (listed === null || newestSeq !== version.seq) return;
  const { descriptor } = version;
  const etag =
    keys === null || descriptor === null
      ? listed.etag
      : maskEtag(listKey(keys.bucketKey), descriptor.wrapSalt, listed.etag);
  if (Buffer.compare(etag, record.md5) !== 0)
    doubts.add(place, 'the ETag in listings is not that of the record');
}

async function checkBody(checks: Checks, doubts: Doubts, place: Place, opened: OpenedVersion): Promise<void> {
  const { version, keys, record } = opened;
  const { body, descriptor, size } = version;
  const cipher = keys === null || descriptor === null ? null : { ...descriptor, dataKey: keys.dataKey };
  if (body.kind === 'parts') {
    await checkParts(checks, doubts, place, opened, cipher);
    return;
  }
  if (body.kind === 'blob') {
    await checkBlob(checks, doubts, place, cipher, { location: body.location, salt: body.salt, size });
    return;
  }
  await doubts.attempt(place, async () => {
    const hash = createHash('md5');
    await sendBody(checks.stores, opened, 0, size - 1, {
      write: (chunks) => {
        for (const chunk of chunks) hash.update(chunk);
        return Promise.resolve(true);
      },
    });
    checks.progress.addBytes(size);
    // A plain body in the metadata has no CRC; what its record says of it is its MD5.
    if (cipher === null && Buffer.compare(hash.digest(), record.md5) !== 0)
      doubts.add(place, 'the body does not match its MD5');
  });
}
