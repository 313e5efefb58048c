/** How far the rewrap of one bucket has come, as it is written down: after a crash it goes on from there. */
import { z } from 'zod';
import type { Id, KeyPosition, Metadata, UploadPosition } from '../metadata/metadata.ts';
import { storedJson } from './storedJson.ts';

export interface RewrapState {
  /** The key version that everything is sealed under anew. */
  readonly target: number;
  readonly phase: 'versions' | 'uploads';
  readonly afterVersion: KeyPosition | null;
  readonly afterUpload: UploadPosition | null;
  /** Seals replaced so far. A crash may lose the last second of this count, never of the work. */
  readonly done: number;
  /** Of this pass: whose old seal did not open. */
  readonly damaged: number;
  /** Of this pass: seals replaced. */
  readonly replaced: number;
  /** Unix milliseconds. */
  readonly startedMs: number;
}

const count = z.int().nonnegative();
const stored = z.object({
  target: count,
  phase: z.enum(['versions', 'uploads']),
  afterVersion: z.object({ key: z.base64(), seq: count }).nullable(),
  afterUpload: z.object({ key: z.base64(), uploadId: z.string() }).nullable(),
  done: count,
  damaged: count,
  replaced: count,
  startedMs: z.number(),
});

/** The state of a rewrap that begins: from the first version, `done` carried over from a pass before. */
export function startOfPass(target: number, startedMs: number, done: number): RewrapState {
  const empty = { afterVersion: null, afterUpload: null, damaged: 0, replaced: 0 };
  return { target, phase: 'versions', ...empty, done, startedMs };
}

/** What was written down for this bucket; null when there is nothing that this build understands. */
export async function loadRewrapState(
  metadata: Pick<Metadata, 'jobState'>,
  bucketUid: Id,
): Promise<RewrapState | null> {
  const text = await metadata.jobState('rewrap', bucketUid);
  const parsed = storedJson(stored).safeParse(text);
  if (!parsed.success) return null;
  const { afterVersion, afterUpload, ...rest } = parsed.data;
  return { ...rest, afterVersion: decoded(afterVersion), afterUpload: decoded(afterUpload) };
}

/** Writes it down; null forgets it. */
export async function saveRewrapState(
  metadata: Pick<Metadata, 'putJobState'>,
  bucketUid: Id,
  state: RewrapState | null,
): Promise<void> {
  if (state === null) {
    await metadata.putJobState('rewrap', bucketUid, null);
    return;
  }
  const places = { afterVersion: encoded(state.afterVersion), afterUpload: encoded(state.afterUpload) };
  await metadata.putJobState('rewrap', bucketUid, JSON.stringify({ ...state, ...places }));
}

/** A place with its key in base64: keys are bytes. */
function encoded<T extends { readonly key: Uint8Array }>(place: T | null) {
  return place === null ? null : { ...place, key: Buffer.from(place.key).toString('base64') };
}

function decoded<T extends { readonly key: string }>(place: T | null) {
  return place === null ? null : { ...place, key: Buffer.from(place.key, 'base64') };
}
