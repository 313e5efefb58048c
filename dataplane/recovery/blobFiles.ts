/** Files in the blob store that no row names. */
import type { Id } from '../metadata/metadata.ts';
import type { Stores } from './stores.ts';

const NAMES_PER_QUESTION = 256;

/** None of these is damage. */
export interface UnnamedFiles {
  /** Left by a life of the process that is over; the collector removes them. */
  readonly collectable: number;
  /** In the folder of the newest life, which may still be writing them. */
  readonly inFlight: number;
  /** In folders that this metadata never knew: left alone, they may be all that is left of somebody's objects. */
  readonly foreign: number;
}

export async function countUnnamedFiles({ metadata, blobs }: Stores): Promise<UnnamedFiles> {
  const known = await metadata.incarnations();
  const newest = known.at(-1);
  const count = { collectable: 0, inFlight: 0, foreign: 0 };
  for (const incarnation of await blobs.incarnations()) {
    const unnamed = await unnamedIn({ metadata, blobs }, incarnation);
    if (incarnation === newest) count.inFlight += unnamed;
    else if (known.includes(incarnation)) count.collectable += unnamed;
    else count.foreign += unnamed;
  }
  return count;
}

async function unnamedIn(
  { metadata, blobs }: Pick<Stores, 'metadata' | 'blobs'>,
  incarnation: Id,
): Promise<number> {
  let unnamed = 0;
  let asked: Id[] = [];
  const ask = async (): Promise<void> => {
    const named = await metadata.knownBlobs(asked.map((blobId) => ({ incarnation, blobId })));
    unnamed += asked.length - named.size;
    asked = [];
  };
  for await (const blobId of blobs.list(incarnation)) {
    asked.push(blobId);
    if (asked.length === NAMES_PER_QUESTION) await ask();
  }
  await ask();
  return unnamed;
}
