import { describe, expect, it } from 'vitest';
import { newId } from '../crypto/ids.ts';
import { type Metadata, MetadataError, type ObjectVersion, type PartEntry } from '../metadata/metadata.ts';
import { DamageError } from './damage.ts';
import { PARTS_PER_PAGE, partByNumber } from './partPages.ts';

const PART_BYTES = 10;
const COUNT = PARTS_PER_PAGE + 3;

const parts: PartEntry[] = Array.from({ length: COUNT }, (_, index) => ({
  // Even numbers only.
  partNumber: (index + 1) * 2,
  offset: index * PART_BYTES,
  size: PART_BYTES,
  location: { incarnation: newId(), blobId: newId() },
  salt: null,
  digestSalt: null,
  digests: new Uint8Array(0),
}));

const version: ObjectVersion = {
  bucketUid: newId(),
  key: Buffer.from('key'),
  seq: 1,
  versionId: newId(),
  isNull: true,
  lastModifiedMs: 0,
  bodyId: newId(),
  size: COUNT * PART_BYTES,
  partCount: COUNT,
  descriptor: null,
  clearRecord: new Uint8Array(0),
  body: { kind: 'parts' },
};

/** Pages as stored; `hint` is what the columns that find a page say. */
function pagesWith(
  hint: number | null,
  missing: number | null = null,
): Pick<Metadata, 'findPage' | 'partPages'> {
  return {
    findPage: () => Promise.resolve(hint),
    partPages: (_bodyId, page) => {
      const entries = parts.slice(page * PARTS_PER_PAGE, (page + 1) * PARTS_PER_PAGE);
      const found = page === missing || entries.length === 0 ? [] : [{ page, parts: entries, pageMac: null }];
      return Promise.resolve(found);
    },
  };
}

describe('a part asked for by its number', () => {
  it.each([0, 1, null])('is found although the columns that find its page say %s', async (hint) => {
    for (const number of [2, COUNT * 2]) {
      expect((await partByNumber(pagesWith(hint), version, null, number))?.partNumber).toBe(number);
    }
  });

  it('is told not to exist only when every page was seen', async () => {
    expect(await partByNumber(pagesWith(0), version, null, 3)).toBeNull();
    for (const missing of [0, 1]) {
      const answer = partByNumber(pagesWith(null, missing), version, null, 3);
      await expect(answer).rejects.toMatchObject({
        code: 'Integrity',
        place: { subject: 'parts', versionId: version.versionId },
      });
      await expect(answer).rejects.toBeInstanceOf(DamageError);
    }
  });

  it('in a row that cannot be read is damage of the parts, and an engine that failed is not', async () => {
    const failing = (code: 'Integrity' | 'Unavailable') => ({
      ...pagesWith(0),
      partPages: () => Promise.reject(new MetadataError(code, 'a page of parts is not readable')),
    });
    await expect(partByNumber(failing('Integrity'), version, null, 2)).rejects.toMatchObject({
      place: { subject: 'parts' },
    });
    await expect(partByNumber(failing('Unavailable'), version, null, 2)).rejects.toMatchObject({
      name: 'MetadataError',
      code: 'Unavailable',
    });
  });
});
