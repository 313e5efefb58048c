/** Verifies an installation, a bucket, or a part of one, and tells what it finds while it goes. */
import type { BucketEntry } from '../metadata/metadata.ts';
import { verifyAccessKeys } from './accessKeys.ts';
import { countUnnamedFiles, type UnnamedFiles } from './blobFiles.ts';
import type { Checks } from './checks.ts';
import type { Finding, Place, Unchecked } from './findings.ts';
import type { Progress } from './progress.ts';
import { NotFoundError, type Stores } from './stores.ts';
import { verifyBucket } from './verifyBuckets.ts';

const BUCKETS_PER_PAGE = 64;
/** More of them would say nothing new. */
const MISCOUNTED_LIMIT = 100;

export interface VerifyScope {
  /** null = all buckets. */
  readonly bucket: string | null;
  /** Empty = all objects. */
  readonly keyPrefix: Uint8Array;
}

export interface VerifyOptions {
  readonly stores: Stores;
  readonly scope: VerifyScope;
  readonly progress: Progress;
  readonly found: (finding: Finding) => void;
  readonly unchecked: (unchecked: Unchecked) => void;
}

export interface VerifySummary {
  readonly buckets: number;
  readonly objects: number;
  /** Plaintext bytes that were verified. */
  readonly bytes: number;
  readonly findings: number;
  readonly unchecked: number;
  /** null when only one bucket was looked at: files belong to no bucket. */
  readonly unnamedFiles: UnnamedFiles | null;
}

/**
 * Authenticates everything in the scope. Memory stays bounded: pages of rows, and the two batches of one body.
 * Rejects with NotFoundError, or MetadataError when the metadata cannot be read at all.
 */
export async function verify({ stores, scope, progress, ...tell }: VerifyOptions): Promise<VerifySummary> {
  const count = { findings: 0, unchecked: 0, buckets: 0 };
  const once = firstTime();
  const checks: Checks = {
    stores,
    progress,
    found: (finding) => {
      if (!once(finding)) return;
      count.findings += 1;
      tell.found(finding);
    },
    unchecked: (unchecked) => {
      if (!once(unchecked)) return;
      count.unchecked += 1;
      tell.unchecked(unchecked);
    },
  };
  for await (const entry of bucketsIn(stores, scope)) {
    await verifyBucket(checks, entry, scope.keyPrefix);
    count.buckets += 1;
  }
  let unnamedFiles: UnnamedFiles | null = null;
  if (scope.bucket === null && scope.keyPrefix.byteLength === 0) {
    for (const uid of await stores.metadata.bucketlessUids())
      checks.found({ what: `objects stand under ${uid}, which no bucket has` });
    for (const { bodyId, refs, versions } of await stores.metadata.miscountedBodies(MISCOUNTED_LIMIT))
      checks.found({ what: `body ${bodyId} counts ${refs} references, ${versions} versions name it` });
    await verifyAccessKeys(checks);
    unnamedFiles = await countUnnamedFiles(stores);
  }
  return { ...count, objects: progress.objects, bytes: progress.bytes, unnamedFiles };
}

async function* bucketsIn({ metadata }: Stores, scope: VerifyScope): AsyncGenerator<BucketEntry> {
  if (scope.bucket !== null) {
    const entry = await metadata.bucketEntry(scope.bucket);
    if (entry === null) throw new NotFoundError(`there is no bucket ${scope.bucket}`);
    yield entry;
    return;
  }
  for (let after: string | undefined = ''; after !== undefined; ) {
    const page: readonly BucketEntry[] = await metadata.listEveryBucket({ after, limit: BUCKETS_PER_PAGE });
    yield* page;
    after = page.at(-1)?.name;
  }
}

/** A key that cannot be had is told once, not for each of its objects. Only such places are remembered. */
function firstTime(): (place: Place) => boolean {
  const told = new Set<string>();
  return ({ bucket, keyVersion, key }) => {
    if (keyVersion === undefined || key !== undefined) return true;
    const place = JSON.stringify([bucket, keyVersion]);
    if (told.has(place)) return false;
    told.add(place);
    return true;
  };
}
