/** What the checks of verify share: where findings go, and how an error becomes one. */
import type { BlobOfBody, BodyCipher } from '../objects/bodyReader.ts';
import { sendBlob } from '../objects/bodyReader.ts';
import { type Finding, judge, type Place, type Unchecked } from './findings.ts';
import type { Progress } from './progress.ts';
import type { Stores } from './stores.ts';

export interface Checks {
  readonly stores: Stores;
  readonly progress: Progress;
  found(finding: Finding): void;
  unchecked(unchecked: Unchecked): void;
}

/** Findings about one thing, held back until it is certain that the thing is still there. */
export class Doubts {
  readonly findings: Finding[] = [];
  readonly unchecked: Unchecked[] = [];

  add(place: Place, what: string): void {
    this.findings.push({ ...place, what });
  }

  /** Runs a check; what it throws becomes a finding at the place. Resolves to null then. */
  async attempt<T>(place: Place, check: () => Promise<T> | T): Promise<T | null> {
    try {
      return await check();
    } catch (error) {
      const judged = judge(error);
      if (judged === null) throw error;
      if (judged.kind === 'wrong') this.add(place, judged.why);
      else this.unchecked.push({ ...place, reason: judged.why });
      return null;
    }
  }

  /**
   * Tells what was found, unless the thing went away meanwhile: a running data plane replaces and deletes, and takes
   * the blobs with it.
   */
  async settle(checks: Checks, stillThere: () => Promise<boolean>): Promise<void> {
    if (this.findings.length + this.unchecked.length === 0 || !(await stillThere())) return;
    for (const finding of this.findings) checks.found(finding);
    for (const unchecked of this.unchecked) checks.unchecked(unchecked);
  }
}

/** Verifies every chunk of a blob, and that its row says the same of it as the row that names it. */
export async function checkBlob(
  { stores, progress }: Checks,
  doubts: Doubts,
  place: Place,
  cipher: BodyCipher | null,
  blob: Omit<BlobOfBody, 'storedBytes'>,
): Promise<void> {
  const { blobId, incarnation } = blob.location;
  const here = { ...place, blobId };
  const row = await stores.metadata.storedBlob(blobId);
  // The collector takes a file without a row for an orphan.
  if (row === null) doubts.add(here, 'the blob has no row');
  else if (row.location.incarnation !== incarnation) doubts.add(here, "the blob's row names another place");
  await doubts.attempt(here, async () => {
    const { size } = blob;
    await sendBlob(stores, cipher, { ...blob, storedBytes: row?.storedBytes ?? null }, 0, size - 1, {
      write: (chunks) => {
        for (const chunk of chunks) progress.addBytes(chunk.length);
        return Promise.resolve(true);
      },
    });
  });
}
