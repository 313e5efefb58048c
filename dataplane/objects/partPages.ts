import type { KeyObject } from 'node:crypto';
import { verifyPageMac } from '../crypto/parts.ts';
import type { Metadata, ObjectVersion, PartEntry, PartPage } from '../metadata/metadata.ts';
import { type DamagedPlace, DamageError, damageAt, readingRows } from './damage.ts';

/** Parts per page (format: Parts). */
export const PARTS_PER_PAGE = 256;

/** One part that a range touches; from..to are inclusive offsets inside the part, to < from for an empty one. */
export interface PartRange {
  readonly part: PartEntry;
  readonly from: number;
  readonly to: number;
}

/**
 * The parts that the plaintext range first..last of a multipart body touches, in order. Loads and verifies only
 * the pages it needs. FormatError 'Integrity' when a page is missing, does not verify or leaves a gap.
 */
export async function* partsInRange(
  metadata: Pick<Metadata, 'findPage' | 'partPages'>,
  version: ObjectVersion,
  dataKey: KeyObject | null,
  first: number,
  last: number,
): AsyncGenerator<PartRange> {
  if (last < first) return;
  const startPage = await readingRows(placeOf(version), () =>
    metadata.findPage(version.bodyId, { offset: first }),
  );
  if (startPage === null) throw integrity(version, 'has no page for this range');
  let expectedOffset: number | null = startPage === 0 ? 0 : null;
  for (let page = startPage; ; page += 1) {
    const { parts } = await verifiedPage(metadata, version, dataKey, page);
    for (const part of parts) {
      if (expectedOffset !== null && part.offset !== expectedOffset) throw integrity(version, 'has a gap');
      if (expectedOffset === null && part.offset > first)
        throw integrity(version, 'has no part for this range');
      expectedOffset = part.offset + part.size;
      if (expectedOffset <= first) continue;
      yield { part, from: Math.max(0, first - part.offset), to: Math.min(part.size - 1, last - part.offset) };
      if (expectedOffset > last) return;
    }
  }
}

/**
 * The part of a body with this number; null when the object has no such part. FormatError 'Integrity' as verifiedPage():
 * that there is no such part is an answer like any other, and only all pages together prove it.
 */
export async function partByNumber(
  metadata: Pick<Metadata, 'findPage' | 'partPages'>,
  version: ObjectVersion,
  dataKey: KeyObject | null,
  partNumber: number,
): Promise<PartEntry | null> {
  const inPage = async (page: number): Promise<PartEntry | undefined> => {
    const { parts } = await verifiedPage(metadata, version, dataKey, page);
    return parts.find((part) => part.partNumber === partNumber);
  };
  const likely = await readingRows(placeOf(version), () => metadata.findPage(version.bodyId, { partNumber }));
  const found = likely === null ? undefined : await inPage(likely);
  if (found !== undefined) return found;
  for (let page = 0; page <= lastPageOf(version); page += 1) {
    const part = await inPage(page);
    if (part !== undefined) return part;
  }
  return null;
}

/** One page of a multipart body. FormatError 'Integrity' when it is missing, incomplete or does not verify. */
export async function verifiedPage(
  metadata: Pick<Metadata, 'partPages'>,
  version: ObjectVersion,
  dataKey: KeyObject | null,
  page: number,
): Promise<PartPage> {
  const [found] = await readingRows(placeOf(version), () => metadata.partPages(version.bodyId, page, page));
  const lastPage = lastPageOf(version);
  const expected = page < lastPage ? PARTS_PER_PAGE : version.partCount - lastPage * PARTS_PER_PAGE;
  if (found === undefined || page > lastPage || found.page !== page || found.parts.length !== expected) {
    throw integrity(version, `lacks page ${page} of its parts`);
  }
  if (dataKey !== null) {
    if (found.pageMac === null) throw integrity(version, `has an unauthenticated page ${page}`);
    try {
      verifyPageMac(dataKey, version.bodyId, page, found.parts, found.pageMac);
    } catch (error) {
      throw damageAt(placeOf(version), error);
    }
  }
  return found;
}

function lastPageOf(version: ObjectVersion): number {
  return Math.floor((version.partCount - 1) / PARTS_PER_PAGE);
}

function placeOf({ versionId }: ObjectVersion): DamagedPlace {
  return { subject: 'parts', versionId };
}

function integrity(version: ObjectVersion, what: string): DamageError {
  return new DamageError('Integrity', `body ${version.bodyId} ${what}`, placeOf(version));
}
