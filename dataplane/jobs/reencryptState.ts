/** How far the re-encryption of one bucket has come, as it is written down: after a crash it goes on from there. */
import { z } from 'zod';
import type { Id, KeyPosition, Metadata } from '../metadata/metadata.ts';
import { storedJson } from './storedJson.ts';

export interface ReencryptState {
  /** Data keys that are older than this key version are replaced. */
  readonly target: number;
  /** Unix milliseconds. */
  readonly requestedMs: number;
  /** Unix milliseconds; null: not yet. */
  readonly finishedMs: number | null;
  /** Where the pass under way goes on. */
  readonly after: KeyPosition | null;
  /** Versions whose bytes do not verify, in the pass under way and in the whole one before. They stay as they are. */
  readonly damaged: number;
  readonly damagedBefore: number;
  /** Versions and plaintext bytes written anew. A crash may lose the last ones of these counts, never of the work. */
  readonly versions: number;
  readonly bytes: number;
}

const count = z.int().nonnegative();
const stored = z.object({
  target: count,
  requestedMs: z.number(),
  finishedMs: z.number().nullable(),
  after: z.object({ key: z.base64(), seq: count }).nullable(),
  damaged: count,
  damagedBefore: count,
  versions: count,
  bytes: count,
});

/** What was written down for this bucket; null when nothing was asked for, or nothing that this build understands. */
export async function loadReencryptState(
  metadata: Pick<Metadata, 'jobState'>,
  bucketUid: Id,
): Promise<ReencryptState | null> {
  const text = await metadata.jobState('reencrypt', bucketUid);
  const parsed = storedJson(stored).safeParse(text);
  if (!parsed.success) return null;
  const { after, ...rest } = parsed.data;
  return { ...rest, after: after === null ? null : { ...after, key: Buffer.from(after.key, 'base64') } };
}

/** Writes it down. */
export async function saveReencryptState(
  metadata: Pick<Metadata, 'putJobState'>,
  bucketUid: Id,
  state: ReencryptState,
): Promise<void> {
  const { after } = state;
  // Keys are bytes.
  const place = after === null ? null : { ...after, key: Buffer.from(after.key).toString('base64') };
  await metadata.putJobState('reencrypt', bucketUid, JSON.stringify({ ...state, after: place }));
}
