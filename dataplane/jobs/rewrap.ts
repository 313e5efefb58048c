/**
 * Rewrap: after a rotation, seals the data keys of one bucket's versions and open uploads under its current key version,
 * in batches, metadata only (docs/format.md, "Rotation"). Then the older versions retire.
 *
 * Owns one slice of one bucket's work, throttled, taken up where the last one ended. It must not decide which bucket is
 * next, speak to clients, or touch a blob.
 */
import type { KeyObject } from 'node:crypto';
import { bucketKey } from '../buckets/bucketKeys.ts';
import { FormatError } from '../crypto/errors.ts';
import type { KeyProvider } from '../keys/keys.ts';
import type {
  BucketDocument,
  Id,
  Metadata,
  Rewrapped,
  SealedUpload,
  SealedVersion,
} from '../metadata/metadata.ts';
import type { SealingTools } from '../objects/version.ts';
import type { JobClock } from './jobClock.ts';
import { resealUpload, resealVersion, type VersionedKey } from './reseal.ts';
import { loadRewrapState, type RewrapState, saveRewrapState, startOfPass } from './rewrapState.ts';

/** A seal that does not open: the object or upload cannot be read, and its key version cannot retire. */
export interface DamagedSeal {
  readonly bucket: string;
  readonly kind: 'version' | 'upload';
  /** versionId or uploadId. */
  readonly id: Id;
  readonly n: number;
}

export interface RewrapObserver {
  resealed(kind: 'version' | 'upload', count: number): void;
  /** Changed by somebody else between reading and commit. */
  skipped(count: number): void;
  damaged(place: DamagedSeal, error: FormatError): void;
}

export interface RewrapOptions {
  readonly metadata: Pick<
    Metadata,
    | 'keyVersion'
    | 'keyVersions'
    | 'sealedVersions'
    | 'sealedUploads'
    | 'rewrap'
    | 'retireKeyVersion'
    | 'jobState'
    | 'putJobState'
  >;
  readonly keys: Pick<KeyProvider, 'bucketKey'>;
  readonly tools: SealingTools;
  readonly clock: JobClock;
  readonly observer: RewrapObserver;
  /** Ends the slice after the batch under way. */
  readonly signal: AbortSignal;
}

/**
 * finished: every older version is retired. more: go on. idle: a whole pass found nothing to do, and yet something refers
 * to an older version (a slow writer): look again later. damaged: what is left does not open.
 */
export type RewrapOutcome = 'finished' | 'more' | 'idle' | 'damaged';

/** Seals in one transaction: a few milliseconds of the writer's time. */
const BATCH = 100;
const SAVE_EVERY_MS = 1_000;

/** Works on the bucket for `sliceMs` at most. Rejects with KmsError and MetadataError; what was done stays done. */
export async function rewrapSlice(
  options: RewrapOptions,
  bucket: BucketDocument,
  sliceMs: number,
): Promise<RewrapOutcome> {
  const { metadata, clock, signal } = options;
  const { bucketUid, keyVersion: target } = bucket;
  if (target === null) return 'finished';
  const untilMs = clock.steadyMs() + sliceMs;
  const known = await loadRewrapState(metadata, bucketUid);
  let state = known?.target === target ? known : startOfPass(target, clock.wallMs(), 0);
  // Before a pass: often nothing refers to the older versions any more, or never did.
  const begins = state.phase === 'versions' && state.afterVersion === null;
  if (begins && (await retireAll(options, bucketUid, target))) return 'finished';
  let savedMs = clock.steadyMs();
  while (!signal.aborted && clock.steadyMs() < untilMs) {
    const startedMs = clock.steadyMs();
    const { next, ended } = await batch(options, bucket, target, state);
    if (ended) return await endOfPass(options, bucketUid, next);
    state = next;
    if (clock.steadyMs() - savedMs >= SAVE_EVERY_MS) {
      await saveRewrapState(metadata, bucketUid, state);
      savedMs = clock.steadyMs();
    }
    // As long a rest as the work took: clients come first, on the writer and on the processor.
    await clock.wait(clock.steadyMs() - startedMs, signal);
  }
  await saveRewrapState(metadata, bucketUid, state);
  return 'more';
}

async function endOfPass(
  options: RewrapOptions,
  bucketUid: Id,
  { target, startedMs, done, damaged, replaced }: RewrapState,
): Promise<RewrapOutcome> {
  if (await retireAll(options, bucketUid, target)) return 'finished';
  await saveRewrapState(options.metadata, bucketUid, startOfPass(target, startedMs, done));
  if (damaged > 0) return 'damaged';
  return replaced === 0 ? 'idle' : 'more';
}

/** Whether every older version is retired now; then the rewrap is over and forgotten. */
async function retireAll({ metadata }: RewrapOptions, bucketUid: Id, target: number): Promise<boolean> {
  let all = true;
  for (const { n, state } of await metadata.keyVersions(bucketUid)) {
    if (n < target && state === 'Readable' && !(await metadata.retireKeyVersion(bucketUid, n))) all = false;
  }
  if (all) await saveRewrapState(metadata, bucketUid, null);
  return all;
}

/** One batch. `ended`: this pass has seen everything. */
async function batch(
  options: RewrapOptions,
  bucket: BucketDocument,
  target: number,
  state: RewrapState,
): Promise<{ readonly next: RewrapState; readonly ended: boolean }> {
  const { metadata, tools } = options;
  const { bucketUid } = bucket;
  const query = { bucketUid, below: target, limit: BATCH };
  if (state.phase === 'versions') {
    const page = await metadata.sealedVersions({ ...query, after: state.afterVersion });
    const result = await replace<SealedVersion>(options, bucket, target, page.items, {
      kind: 'version',
      id: (version) => version.versionId,
      reseal: (version, from, to) => resealVersion(bucketUid, version, from, to, tools),
    });
    const phase = page.next === null ? 'uploads' : 'versions';
    return { next: { ...add(state, result), phase, afterVersion: page.next }, ended: false };
  }
  const page = await metadata.sealedUploads({ ...query, after: state.afterUpload });
  const result = await replace<SealedUpload>(options, bucket, target, page.items, {
    kind: 'upload',
    id: (upload) => upload.uploadId,
    reseal: (upload, from, to) => resealUpload(bucketUid, upload, from, to, tools),
  });
  return { next: { ...add(state, result), afterUpload: page.next }, ended: page.next === null };
}

interface Replaced {
  readonly replaced: number;
  readonly damaged: number;
}

function add(state: RewrapState, { replaced, damaged }: Replaced): RewrapState {
  return {
    ...state,
    done: state.done + replaced,
    replaced: state.replaced + replaced,
    damaged: state.damaged + damaged,
  };
}

interface Sealing<Item> {
  readonly kind: 'version' | 'upload';
  readonly id: (item: Item) => Id;
  readonly reseal: (item: Item, from: KeyObject, to: VersionedKey) => Rewrapped;
}

/** Seals the items under the target version and commits the new seals, all in one transaction. */
async function replace<Item extends { readonly n: number }>(
  options: RewrapOptions,
  bucket: BucketDocument,
  target: number,
  items: readonly Item[],
  { kind, id, reseal }: Sealing<Item>,
): Promise<Replaced> {
  if (items.length === 0) return { replaced: 0, damaged: 0 };
  const { observer, metadata } = options;
  const { bucketUid, name } = bucket;
  const to = { bucketKey: await bucketKey(options, bucketUid, target, 'write'), n: target };
  const resealed: Rewrapped[] = [];
  for (const item of items) {
    const from = await bucketKey(options, bucketUid, item.n, 'read');
    try {
      resealed.push(reseal(item, from, to));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      observer.damaged({ bucket: name, kind, id: id(item), n: item.n }, error);
    }
  }
  const replaced = await metadata.rewrap(bucketUid, resealed);
  observer.resealed(kind, replaced);
  observer.skipped(resealed.length - replaced);
  return { replaced, damaged: items.length - resealed.length };
}
