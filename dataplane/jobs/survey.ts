/** What there is to do for the keys of all buckets: one look at every key version and every bucket, page by page. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type BucketDocument,
  type BucketEntry,
  type Id,
  type KeyVersionDocument,
  type KeyVersionEntry,
  type Metadata,
  MetadataError,
} from '../metadata/metadata.ts';

/** A key version that a bucket's rotation left unfinished. */
export interface UnfinishedRotation {
  readonly bucket: BucketDocument;
  readonly row: KeyVersionDocument;
}

export interface Survey {
  readonly unfinished: readonly UnfinishedRotation[];
  /** Of buckets that are gone: nobody will finish them. */
  readonly abandoned: readonly KeyVersionDocument[];
  /** Whose current key version is as old as their schedule allows, or older. */
  readonly due: readonly BucketDocument[];
  /** With versions that were replaced and are not retired. */
  readonly rewraps: readonly BucketDocument[];
  readonly retiring: readonly KeyVersionDocument[];
  readonly states: ReadonlyMap<KeyVersionDocument['state'], number>;
  /** When the oldest rotation whose rewrap is not over happened, Unix ms; null: all are over. */
  readonly oldestRewrapMs: number | null;
  /** Rows that failed their authentication, and so were left out. */
  readonly damaged: readonly { readonly what: string; readonly error: MetadataError }[];
}

export interface SurveyOptions {
  readonly metadata: Pick<Metadata, 'listKeyVersions' | 'listEveryBucket'>;
  readonly nowMs: number;
  /** Whether that rotation is under way in this thread. */
  readonly isRunning: (bucketUid: Id) => boolean;
  /** This process's life: an S3 worker of it may be making a first key version. */
  readonly incarnation: Id;
  readonly signal: AbortSignal;
}

const PAGE = 500;

/**
 * Looks at everything; every page is one read, and other work of the thread goes on between them. null when the signal
 * ended it: half a look would take buckets that it has not come to for deleted ones.
 */
export async function survey(options: SurveyOptions): Promise<Survey | null> {
  const { incarnation, isRunning, nowMs } = options;
  const states = new Map<KeyVersionDocument['state'], number>();
  const damaged: { what: string; error: MetadataError }[] = [];
  const creating: KeyVersionDocument[] = [];
  const retiring: KeyVersionDocument[] = [];
  const readable = new Set<Id>();
  const usedSinceMs = new Map<Id, number>();
  await eachKeyVersion(options, ({ bucketUid, n, keyVersion: row }) => {
    if (row instanceof MetadataError) {
      damaged.push({ what: `key version ${n} of bucket ${bucketUid}`, error: row });
      return;
    }
    states.set(row.state, (states.get(row.state) ?? 0) + 1);
    if (row.state === 'Creating') creating.push(row);
    else if (row.state === 'Retiring') retiring.push(row);
    else if (row.state === 'Readable') readable.add(bucketUid);
    else if (row.state === 'Current') usedSinceMs.set(bucketUid, row.rotation?.rotatedMs ?? row.reservedMs);
  });

  const due: BucketDocument[] = [];
  const rewraps: BucketDocument[] = [];
  const existing = new Map<Id, BucketDocument | null>(creating.map((row) => [row.bucketUid, null]));
  await eachBucket(options, ({ bucketUid, bucket, name }) => {
    if (bucket instanceof MetadataError) {
      damaged.push({ what: `bucket ${name}`, error: bucket });
      // Its keys are nobody else's to judge.
      existing.delete(bucketUid);
      return;
    }
    if (existing.has(bucketUid)) existing.set(bucketUid, bucket);
    // Nothing is done for the keys of one that is being purged until it is gone.
    if (bucket.state === 'Deleting') return;
    if (readable.has(bucketUid)) rewraps.push(bucket);
    const sinceMs = usedSinceMs.get(bucketUid);
    if (bucket.rotateEveryMs !== null && sinceMs !== undefined && nowMs - sinceMs >= bucket.rotateEveryMs)
      due.push(bucket);
  });

  if (options.signal.aborted) return null;
  const idle = creating.filter(({ bucketUid }) => !isRunning(bucketUid));
  const sinces = rewraps.map(({ bucketUid }) => usedSinceMs.get(bucketUid) ?? nowMs);
  return {
    unfinished: idle.flatMap((row) => {
      const bucket = existing.get(row.bucketUid) ?? null;
      // A first version is finished by its bucket's owner.
      if (
        bucket === null ||
        bucket.state !== 'Ready' ||
        bucket.keyVersion === null ||
        row.n < bucket.keyVersion
      )
        return [];
      return [{ bucket, row }];
    }),
    abandoned: idle.filter(
      (row) => existing.get(row.bucketUid) === null && (row.rotation !== null || row.attempt !== incarnation),
    ),
    due: due.filter(({ bucketUid }) => !isRunning(bucketUid)),
    rewraps,
    retiring,
    states,
    oldestRewrapMs: sinces.length === 0 ? null : Math.min(...sinces),
    damaged,
  };
}

async function eachKeyVersion(
  { metadata, signal }: SurveyOptions,
  take: (entry: KeyVersionEntry) => void,
): Promise<void> {
  let after: KeyVersionEntry | null = null;
  while (!signal.aborted) {
    const page: readonly KeyVersionEntry[] = await metadata.listKeyVersions({ after, limit: PAGE });
    for (const entry of page) take(entry);
    after = page.at(-1) ?? null;
    if (after === null) return;
    await nextTurn();
  }
}

async function eachBucket(
  { metadata, signal }: SurveyOptions,
  take: (entry: BucketEntry) => void,
): Promise<void> {
  let after = '';
  while (!signal.aborted) {
    const page: readonly BucketEntry[] = await metadata.listEveryBucket({ after, limit: PAGE });
    for (const entry of page) take(entry);
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.name;
    await nextTurn();
  }
}
