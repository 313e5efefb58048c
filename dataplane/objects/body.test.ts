import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobStore } from '../blobs/blobs.ts';
import { openFilesystemBlobs, prepareFilesystemBlobs } from '../blobs/filesystem.ts';
import { newDataKey } from '../crypto/dataKey.ts';
import { newId } from '../crypto/ids.ts';
import { systemRandom } from '../crypto/random.ts';
import type { Metadata } from '../metadata/metadata.ts';
import { type ByteSink, sendBody } from './bodyReader.ts';
import { BodyWriter, CRC_BLOCK_BYTES, INLINE_LIMIT_BYTES, type StoredBody } from './bodyWriter.ts';
import type { OpenedVersion } from './version.ts';

const incarnation = newId();
let folder = '';
let blobs: BlobStore;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-body-'));
  prepareFilesystemBlobs({ path: folder, incarnation });
  blobs = openFilesystemBlobs({
    path: folder,
    incarnation,
    freeSpaceReserveBytes: 0,
    onFatal: (error) => {
      throw error;
    },
  });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function store(
  pieces: readonly Buffer[],
  dataKey: OpenedVersion['keys'],
  sizeKnown: boolean,
  mayInline = true,
): Promise<StoredBody> {
  const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const writer = new BodyWriter(blobs, {
    dataKey: dataKey?.dataKey ?? null,
    plaintextSize: sizeKnown ? size : null,
    mayInline,
    random: systemRandom,
  });
  // Copies, because the writer owns what it is given.
  for (const piece of pieces) await writer.write(Buffer.from(piece));
  return await writer.finish();
}

/** What a row and its opened record would say of that body. */
function opened(stored: StoredBody, size: number, keys: OpenedVersion['keys']): OpenedVersion {
  const empty = Buffer.alloc(0);
  const descriptor =
    keys === null
      ? null
      : {
          suite: 1,
          chunkLog2: 17,
          n: 1,
          wrapSalt: empty,
          sealedKey: empty,
          recordSalt: empty,
          sealedRecord: empty,
        };
  const version = {
    bucketUid: newId(),
    key: empty,
    seq: 1,
    versionId: newId(),
    isNull: true,
    lastModifiedMs: 0,
    bodyId: newId(),
    size,
    partCount: 0,
    descriptor,
    clearRecord: null,
    body: stored,
  };
  const record = { md5: empty, checksums: [], contentHeaders: new Map(), userMetadata: new Map() };
  return { version, record, keys };
}

/** Sends a range to a sink; resolves to what sendBody says. */
async function send(
  stored: StoredBody,
  size: number,
  keys: OpenedVersion['keys'],
  [first, last]: readonly [number, number],
  write: ByteSink['write'],
): Promise<boolean> {
  const crcs = stored.kind === 'blob' ? Buffer.from(stored.crcs) : Buffer.alloc(0);
  const metadata: Pick<Metadata, 'blobCrcs'> = {
    blobCrcs: (_, from, to) => Promise.resolve(crcs.subarray(from * 4, (to + 1) * 4)),
  };
  // Only blobCrcs is asked for bodies of one blob.
  const sources = { blobs, metadata: metadata as Metadata };
  return await sendBody(sources, opened(stored, size, keys), first, last, { write });
}

async function read(
  stored: StoredBody,
  size: number,
  keys: OpenedVersion['keys'],
  first: number,
  last: number,
): Promise<Buffer> {
  const out: Buffer[] = [];
  const complete = await send(stored, size, keys, [first, last], (chunks) => {
    for (const chunk of chunks) out.push(Buffer.from(chunk));
    return Promise.resolve(true);
  });
  expect(complete).toBe(true);
  return Buffer.concat(out);
}

const sealing = () => ({ dataKey: newDataKey(), bucketKey: newDataKey(), n: 1 });
const bytes = (size: number) =>
  Buffer.from(Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff));

describe('a body, written and read back', () => {
  const sizes = [
    0,
    1,
    1000,
    INLINE_LIMIT_BYTES,
    INLINE_LIMIT_BYTES + 1,
    CRC_BLOCK_BYTES,
    CRC_BLOCK_BYTES + 1,
    3 * 1024 * 1024 + 5,
  ];
  it.each(
    sizes.flatMap((size) =>
      [true, false].flatMap((sealed) => [true, false].map((known) => [size, sealed, known] as const)),
    ),
  )('of %i bytes, sealed: %s, size known beforehand: %s', async (size, sealed, known) => {
    const keys = sealed ? sealing() : null;
    const body = bytes(size);
    const pieces = [body.subarray(0, 10), body.subarray(10, 70_000), body.subarray(70_000)];
    const stored = await store(pieces, keys, known);
    expect(stored.kind).toBe(size <= INLINE_LIMIT_BYTES ? 'inline' : 'blob');
    expect((await read(stored, size, keys, 0, size - 1)).equals(body)).toBe(true);
  });

  it('gives any range, over chunk and batch borders', async () => {
    const body = bytes(2_500_000);
    for (const keys of [null, sealing()]) {
      const stored = await store([body], keys, true);
      await fc.assert(
        fc.asyncProperty(fc.nat(body.length - 1), fc.nat(body.length - 1), async (a, b) => {
          const [first, last] = a < b ? [a, b] : [b, a];
          expect(
            (await read(stored, body.length, keys, first, last)).equals(body.subarray(first, last + 1)),
          ).toBe(true);
        }),
        { numRuns: 25 },
      );
    }
  });

  it.each([true, false])(
    'gives memory back only once the sink is done with it (sealed: %s)',
    async (sealed) => {
      const body = bytes(3_000_000);
      const keys = sealed ? sealing() : null;
      const stored = await store([body], keys, true);
      const whole = [0, body.length - 1] as const;
      const seen: Uint8Array[] = [];
      const take = (chunks: readonly Uint8Array[]): void => {
        seen.push(...chunks);
      };
      await send(stored, body.length, keys, whole, async (chunks) => {
        take(chunks);
        // Whatever is sent in other turns meanwhile, this batch is still in use.
        await new Promise((resolve) => setImmediate(resolve));
        expect(chunks.every((chunk) => chunk.byteLength > 0)).toBe(true);
        return true;
      });
      expect(seen.map((chunk) => chunk.byteLength)).toEqual(seen.map(() => 0));

      // A connection that went away may still hold the bytes of its last write.
      seen.length = 0;
      const gone = await send(stored, body.length, keys, whole, (chunks) => {
        take(chunks);
        return Promise.resolve(false);
      });
      expect(gone).toBe(false);
      const kept = Buffer.concat(seen);
      expect(kept.equals(body.subarray(0, kept.length)) && kept.length > 0).toBe(true);
    },
  );

  it('keeps a small part as a blob', async () => {
    expect((await store([bytes(10)], null, true, false)).kind).toBe('blob');
    expect((await store([], sealing(), true, false)).kind).toBe('blob');
  });

  it('stores nothing of the plaintext when sealed', async () => {
    const marker = Buffer.alloc(200_000, 'a marker of the plaintext');
    const stored = await store([marker], sealing(), true);
    if (stored.kind !== 'blob') throw new Error('expected a blob');
    const file = readFileSync(join(folder, stored.location.incarnation, stored.location.blobId));
    expect(file.includes('a marker')).toBe(false);
    expect(file.subarray(0, 4)).toEqual(Buffer.from('SGB\x01', 'latin1'));
  });

  it.each([true, false])('refuses a changed, a shorter and a missing blob (sealed: %s)', async (sealed) => {
    const keys = sealed ? sealing() : null;
    const body = bytes(300_000);
    const stored = await store([body], keys, true);
    if (stored.kind !== 'blob') throw new Error('expected a blob');
    const path = join(folder, stored.location.incarnation, stored.location.blobId);
    const good = readFileSync(path);
    const all = () => read(stored, body.length, keys, 0, body.length - 1);
    const integrity = expect.objectContaining({ code: 'Integrity' });
    const changed = Buffer.from(good);
    changed.writeUInt8((changed.at(-1) ?? 0) ^ 1, changed.length - 1);
    writeFileSync(path, changed);
    await expect(all()).rejects.toEqual(integrity);
    // A range that does not touch the changed chunk is still served.
    expect((await read(stored, body.length, keys, 0, 99)).equals(body.subarray(0, 100))).toBe(true);
    writeFileSync(path, good);
    truncateSync(path, good.length - 1);
    await expect(all()).rejects.toEqual(integrity);
    rmSync(path);
    await expect(all()).rejects.toEqual(integrity);
  });

  it('leaves no file behind when it is aborted', async () => {
    const writer = new BodyWriter(blobs, {
      dataKey: null,
      plaintextSize: 5_000_000,
      mayInline: true,
      random: systemRandom,
    });
    const waiting = writer.write(bytes(2_000_000));
    await writer.abort();
    await waiting;
    const names: string[] = [];
    for await (const name of blobs.list(incarnation)) names.push(name);
    const before = names.length;
    const again = new BodyWriter(blobs, {
      dataKey: null,
      plaintextSize: 5_000_000,
      mayInline: true,
      random: systemRandom,
    });
    await again.write(bytes(2_000_000));
    await again.abort();
    let after = 0;
    for await (const _ of blobs.list(incarnation)) after += 1;
    expect(after).toBe(before);
  });
});
