/**
 * Re-encryption of one bucket: every version whose data key is older than a key version is written anew, because a
 * bucket key that was stolen opens every data key that was ever sealed under it (docs/format.md, "Re-encryption").
 *
 * Owns one slice of one bucket's work, throttled, taken up where the last one ended. It must not decide which bucket is
 * next, nor end an upload: an open one keeps its data key, and its object is written anew once it is complete.
 */
import type { BlobStore } from '../blobs/blobs.ts';
import { bucketKey, writingKey } from '../buckets/bucketKeys.ts';
import { FormatError } from '../crypto/errors.ts';
import type { KeyProvider } from '../keys/keys.ts';
import {
  type BucketDocument,
  type Id,
  type Metadata,
  MetadataError,
  type ObjectVersion,
  type OlderVersion,
} from '../metadata/metadata.ts';
import { type ReencryptOutcome, reencryptVersion } from '../objects/reencryptVersion.ts';
import type { SealingTools } from '../objects/version.ts';
import type { JobClock } from './jobClock.ts';
import { loadReencryptState, type ReencryptState, saveReencryptState } from './reencryptState.ts';

export interface ReencryptOptions {
  readonly metadata: Metadata;
  readonly blobs: BlobStore;
  readonly keys: Pick<KeyProvider, 'bucketKey'>;
  readonly tools: SealingTools;
  readonly clock: JobClock;
  /** A version's bytes do not verify: nobody can read it, and it stays under its older data key. */
  readonly damaged: (place: { readonly bucket: string; readonly versionId: Id }, error: Error) => void;
  /** Ends the slice inside of the version under way, which is then begun again. */
  readonly signal: AbortSignal;
}

/** finished: no data key is older. more: go on. left: a whole pass is over, and something is left for a later one. */
export type SliceOutcome = 'finished' | 'more' | 'left';

/** Versions looked at by one query. */
const PAGE = 64;
const SAVE_EVERY_MS = 1_000;

/** Works on the bucket for about `sliceMs`. Rejects with KmsError, BlobError and MetadataError; what was done stays done. */
export async function reencryptSlice(
  options: ReencryptOptions,
  bucket: BucketDocument,
  sliceMs: number,
): Promise<SliceOutcome> {
  const { metadata, clock, signal } = options;
  const { bucketUid } = bucket;
  let state = await loadReencryptState(metadata, bucketUid);
  if (state === null || state.finishedMs !== null) return 'finished';
  const untilMs = clock.steadyMs() + sliceMs;
  const isOver = (): boolean => signal.aborted || clock.steadyMs() >= untilMs;
  let savedMs = clock.steadyMs();
  while (!isOver()) {
    const { target: below, after } = state;
    const { items, next } = await metadata.olderVersions({ bucketUid, below, after, limit: PAGE });
    let looked = 0;
    for (const item of items) {
      state = await rewrite(options, bucket, item, state);
      looked += 1;
      if (clock.steadyMs() - savedMs >= SAVE_EVERY_MS) {
        await saveReencryptState(metadata, bucketUid, state);
        savedMs = clock.steadyMs();
      }
      if (isOver()) break;
    }
    if (looked < items.length || signal.aborted) break;
    state = { ...state, after: next };
    if (next === null) return await endOfPass(options, bucketUid, state);
  }
  await saveReencryptState(metadata, bucketUid, state);
  return 'more';
}

async function endOfPass(
  { metadata, clock }: ReencryptOptions,
  bucketUid: Id,
  state: ReencryptState,
): Promise<SliceOutcome> {
  const left = await metadata.olderDataKeys(bucketUid, state.target);
  const over = left.versions + left.uploads === 0;
  const counts = { after: null, damaged: 0, damagedBefore: state.damaged };
  const finishedMs = over ? clock.wallMs() : null;
  await saveReencryptState(metadata, bucketUid, { ...state, ...counts, finishedMs });
  return over ? 'finished' : 'left';
}

/** One version. One that changed while it was being read is looked at again by the next pass. */
async function rewrite(
  options: ReencryptOptions,
  bucket: BucketDocument,
  { key, seq, versionId, bodyId }: OlderVersion,
  state: ReencryptState,
): Promise<ReencryptState> {
  const seen = { ...state, after: { key, seq } };
  try {
    const pinned = await options.metadata.currentVersion(bucket.bucketUid, key);
    if (pinned === null) return seen;
    try {
      const { version } = pinned;
      if (version.versionId !== versionId || version.bodyId !== bodyId) return seen;
      const outcome = await writeAnew(options, bucket, version);
      if (outcome === 'ended') return state;
      if (outcome === 'gone') return seen;
      return { ...seen, versions: seen.versions + 1, bytes: seen.bytes + version.size };
    } finally {
      pinned.release();
    }
  } catch (error) {
    const damage =
      error instanceof FormatError || (error instanceof MetadataError && error.code === 'Integrity');
    if (!damage) throw error;
    options.damaged({ bucket: bucket.name, versionId }, error);
    return { ...seen, damaged: seen.damaged + 1 };
  }
}

async function writeAnew(
  options: ReencryptOptions,
  bucket: BucketDocument,
  version: ObjectVersion,
): Promise<ReencryptOutcome> {
  const { metadata, blobs, tools, clock, signal } = options;
  const wrapping = await writingKey(options, bucket);
  const bucketKeyOf = (n: number) => bucketKey(options, bucket.bucketUid, n, 'read');
  let workedSinceMs = clock.steadyMs();
  // As long a rest as the work took: clients come first, on the disk and on the processor.
  const rest = async (): Promise<void> => {
    await clock.wait(clock.steadyMs() - workedSinceMs, signal);
    workedSinceMs = clock.steadyMs();
  };
  const pause = async (): Promise<boolean> => {
    await rest();
    return !signal.aborted;
  };
  const outcome = await reencryptVersion(
    { metadata, blobs, tools, bucketKeyOf, wrapping, pause },
    bucket,
    version,
  );
  await rest();
  return outcome;
}
