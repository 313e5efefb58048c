import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { newDataKey } from '../crypto/dataKey.ts';
import { FormatError } from '../crypto/errors.ts';
import { newId } from '../crypto/ids.ts';
import { verifyPageMac } from '../crypto/parts.ts';
import type { UploadPart } from '../metadata/metadata.ts';
import { sealPart } from '../objects/uploadParts.ts';
import type { OpenedUpload } from '../objects/uploads.ts';
import { joinParts, requireAscending } from './completeParts.ts';
import { S3Error } from './errors.ts';
import type { CompletedPart } from './xml/requests.ts';

const MIB = 1024 * 1024;
const md5 = (text: string): Buffer => createHash('md5').update(text).digest();

function open(encrypted: boolean, overrides: Partial<OpenedUpload['upload']> = {}): OpenedUpload {
  const upload = {
    uploadId: newId(),
    bucketUid: newId(),
    key: Buffer.from('key'),
    bodyId: newId(),
    encrypted,
    suite: 1,
    chunkLog2: 17,
    checksumAlgorithm: null,
    checksumType: null,
    ownerId: 'o'.repeat(64),
    createdMs: 0,
    sealed: null,
    clearMeta: null,
    revision: 0,
    ...overrides,
  };
  const meta = { contentHeaders: new Map<string, string>(), userMetadata: new Map<string, string>() };
  return { upload, meta, dataKey: encrypted ? newDataKey() : null };
}

function uploaded(opened: OpenedUpload, partNumber: number, size = 5 * MIB, checksum?: Buffer): UploadPart {
  return sealPart(opened, {
    partNumber,
    size,
    stored: {
      kind: 'blob',
      location: { incarnation: newId(), blobId: newId() },
      storedBytes: size,
      salt: opened.dataKey === null ? null : Buffer.alloc(32, partNumber),
      crcs: new Uint8Array(0),
    },
    digests: {
      md5: md5(String(partNumber)),
      checksum: checksum === undefined ? null : { algorithm: 'CRC32', value: checksum },
    },
    lastModifiedMs: 0,
  });
}

const listed = (partNumber: number, checksum?: Buffer): CompletedPart => ({
  partNumber,
  etag: md5(String(partNumber)).toString('hex'),
  checksums: checksum === undefined ? [] : [{ algorithm: 'CRC32', value: checksum }],
});

/** An engine with these parts, counting what is asked of it. */
function engine(parts: readonly UploadPart[]): {
  pages: number;
  uploadParts(id: string, after: number, limit: number): Promise<readonly UploadPart[]>;
} {
  return {
    pages: 0,
    uploadParts(_, after, limit) {
      this.pages += 1;
      return Promise.resolve(parts.filter((part) => part.partNumber > after).slice(0, limit));
    },
  };
}

async function code(joining: Promise<unknown>): Promise<string> {
  try {
    await joining;
  } catch (error) {
    if (error instanceof S3Error || error instanceof FormatError) return error.code;
    throw error;
  }
  return 'none';
}

describe('requireAscending', () => {
  it.each([
    [[1, 2, 10_000], true],
    [[2, 1], false],
    [[1, 1], false],
  ])('%j: %s', (numbers, fine) => {
    const check = (): void => requireAscending(numbers.map((number) => listed(number)));
    if (fine) expect(check).not.toThrow();
    else expect(check).toThrow(expect.objectContaining({ code: 'InvalidPartOrder' }));
  });
});

describe.each([true, false])('joining the parts of an upload (encrypted: %s)', (encrypted) => {
  it('takes the listed ones in order, page by page, each page under its MAC', async () => {
    const opened = open(encrypted);
    const numbers = Array.from({ length: 600 }, (_, index) => 3 * index + 1);
    const parts = numbers.flatMap((number) => [uploaded(opened, number), uploaded(opened, number + 1)]);
    const metadata = engine(parts);
    const joined = await joinParts(
      metadata,
      opened,
      numbers.map((number) => listed(number)),
    );
    expect(joined).toMatchObject({ partCount: 600, size: 600 * 5 * MIB, checksum: null });
    const md5s = Buffer.concat(numbers.map((number) => md5(String(number))));
    expect(joined.md5).toEqual(createHash('md5').update(md5s).digest());
    expect(joined.pages.map(({ page, parts: entries }) => [page, entries.length])).toEqual([
      [0, 256],
      [1, 256],
      [2, 88],
    ]);
    const entries = joined.pages.flatMap((page) => page.parts);
    expect(entries.map((entry) => entry.partNumber)).toEqual(numbers);
    expect(entries.map((entry) => entry.offset)).toEqual(numbers.map((_, index) => index * 5 * MIB));
    expect(metadata.pages).toBeLessThanOrEqual(6);
    for (const { page, parts: ofPage, pageMac } of joined.pages) {
      if (opened.dataKey === null) expect(pageMac).toBeNull();
      else verifyPageMac(opened.dataKey, opened.upload.bodyId, page, ofPage, pageMac ?? Buffer.alloc(0));
    }
  });

  it('asks for no more pages than it needs when the list is thin', async () => {
    const opened = open(encrypted);
    const metadata = engine(Array.from({ length: 2000 }, (_, index) => uploaded(opened, index + 1)));
    const joined = await joinParts(metadata, opened, [listed(1), listed(2000)]);
    expect(joined.partCount).toBe(2);
    expect(metadata.pages).toBe(2);
  });

  it.each([
    ['a part that was not uploaded', [listed(1), listed(3)], 'InvalidPart'],
    ['a part behind all others', [listed(4)], 'InvalidPart'],
    ['another ETag', [{ ...listed(1), etag: md5('x').toString('hex') }], 'InvalidPart'],
    ['no ETag', [{ ...listed(1), etag: '' }], 'InvalidPart'],
    ['a checksum that the part does not have', [listed(1, Buffer.alloc(4))], 'InvalidPart'],
    ['a small part before the last', [listed(2), listed(5)], 'EntityTooSmall'],
    ['a small part at the end', [listed(1), listed(2)], 'none'],
    ['an ETag in capitals', [{ ...listed(1), etag: listed(1).etag.toUpperCase() }], 'none'],
  ])('with %s', async (_, list, expected) => {
    const opened = open(encrypted);
    const parts = [uploaded(opened, 1), uploaded(opened, 2, 5 * MIB - 1), uploaded(opened, 5)];
    expect(await code(joinParts(engine(parts), opened, list))).toBe(expected);
  });

  it('of which one is wrong says so before one is too small', async () => {
    const opened = open(encrypted);
    const parts = [uploaded(opened, 1, 1), uploaded(opened, 2)];
    expect(await code(joinParts(engine(parts), opened, [listed(1), listed(2), listed(3)]))).toBe(
      'InvalidPart',
    );
  });

  it('of a composite upload needs every checksum in the list', async () => {
    const opened = open(encrypted, { checksumAlgorithm: 'CRC32', checksumType: 'COMPOSITE' });
    const sum = Buffer.from('01020304', 'hex');
    const parts = [uploaded(opened, 1, 10, sum)];
    expect(await code(joinParts(engine(parts), opened, [listed(1)]))).toBe('InvalidRequest');
    expect(await code(joinParts(engine(parts), opened, [listed(1, Buffer.alloc(4))]))).toBe('InvalidPart');
    const joined = await joinParts(engine(parts), opened, [listed(1, sum)]);
    expect(joined.checksum).toMatchObject({ algorithm: 'CRC32', type: 'COMPOSITE' });
  });
});

describe('a part of an encrypted upload', () => {
  it.each([
    ['of another size', { size: 6 * MIB }],
    ['with another number', { partNumber: 2 }],
    ['of another blob', { location: { incarnation: newId(), blobId: newId() } }],
    ['with another salt', { salt: Buffer.alloc(32, 9) }],
    ['without its salt', { salt: null }],
    ['without its MAC', { partMac: null }],
    ['with another MAC', { partMac: Buffer.alloc(32) }],
    ['with digests in clear', { digestSalt: null }],
  ])('%s is an integrity failure', async (_, change) => {
    const opened = open(true);
    const part = { ...uploaded(opened, 1), ...change };
    expect(await code(joinParts(engine([part]), opened, [listed(part.partNumber)]))).toBe('Integrity');
  });

  it('of another upload is one, even under the same key', async () => {
    const opened = open(true);
    const other = { ...opened, upload: { ...opened.upload, uploadId: newId() } };
    expect(await code(joinParts(engine([uploaded(other, 1)]), opened, [listed(1)]))).toBe('Integrity');
  });
});
