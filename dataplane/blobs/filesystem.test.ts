import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { newId } from '../crypto/ids.ts';
import type { Id } from '../metadata/metadata.ts';
import type { BlobStore } from './blobs.ts';
import { openFilesystemBlobs, prepareFilesystemBlobs } from './filesystem.ts';

let path: string;
let incarnation: Id;
let blobs: BlobStore;
let fatal: Error[];

function open(freeSpaceReserveBytes = 0): BlobStore {
  return openFilesystemBlobs({
    path,
    incarnation,
    freeSpaceReserveBytes,
    onFatal: (error) => fatal.push(error),
  });
}

beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), 'sealgate-')), 'blobs');
  incarnation = newId();
  fatal = [];
  prepareFilesystemBlobs({ path, incarnation });
  blobs = open();
});
afterEach(() => {
  rmSync(join(path, '..'), { recursive: true });
  expect(fatal).toEqual([]);
});

async function write(...pieces: readonly string[]) {
  const writer = await blobs.create();
  for (const piece of pieces) await writer.write([Buffer.from(piece)]);
  await writer.finish();
  return writer;
}

async function codeOf(operation: Promise<unknown>): Promise<unknown> {
  try {
    await operation;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
  return 'resolved';
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('a blob', () => {
  test('is a file of its own bytes under its own name, for its owner only', async () => {
    const writer = await blobs.create();
    await writer.write([Buffer.from('ab'), Buffer.alloc(0), Buffer.from('cd')]);
    await writer.write([]);
    await writer.write([Buffer.from('e')]);
    await writer.finish();
    expect(writer.storedBytes).toBe(5);
    expect(writer.location.incarnation).toBe(incarnation);
    const file = join(path, incarnation, writer.location.blobId);
    expect(readFileSync(file, 'utf8')).toBe('abcde');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, incarnation)).mode & 0o777).toBe(0o700);
  });

  test('is read from any position, short only at its end', async () => {
    const { location } = await write('0123456789');
    const reader = await blobs.open(location);
    expect(reader.storedBytes).toBe(10);
    const read = async (position: number, length: number) => {
      const into = Buffer.alloc(length);
      const count = await reader.read(into, position);
      return into.subarray(0, count).toString();
    };
    expect([
      await read(0, 4),
      await read(4, 4),
      await read(8, 4),
      await read(10, 4),
      await read(3, 0),
    ]).toEqual(['0123', '4567', '89', '', '']);
    await reader.close();
    await reader.close();
    expect(await codeOf(reader.read(Buffer.alloc(1), 0))).toBe('Unavailable');
  });

  test('stays readable for whoever opened it before it was deleted', async () => {
    const { location } = await write('still here');
    const reader = await blobs.open(location);
    await blobs.delete(location);
    await blobs.delete(location);
    expect(await codeOf(blobs.open(location))).toBe('NotFound');
    const into = Buffer.alloc(10);
    await reader.read(into, 0);
    expect(into.toString()).toBe('still here');
    await reader.close();
  });

  test('that was aborted leaves nothing, also when a write is pending', async () => {
    const writer = await blobs.create();
    const pending = writer.write([Buffer.alloc(1_000_000)]);
    await writer.abort();
    await pending;
    await writer.abort();
    expect(existsSync(join(path, incarnation, writer.location.blobId))).toBe(false);
    expect(await codeOf(writer.write([Buffer.from('x')]))).toBe('Unavailable');
    expect(await codeOf(writer.finish())).toBe('Unavailable');
  });

  test('takes one write at a time', async () => {
    const writer = await blobs.create();
    const first = writer.write([Buffer.from('a')]);
    expect(await codeOf(writer.write([Buffer.from('b')]))).toBe('Unavailable');
    await first;
    await writer.finish();
    expect(readFileSync(join(path, incarnation, writer.location.blobId), 'utf8')).toBe('a');
  });

  test('that is finished is kept by a late abort', async () => {
    const writer = await write('kept');
    await writer.abort();
    expect(existsSync(join(path, incarnation, writer.location.blobId))).toBe(true);
  });

  test.each([
    { incarnation: '..', blobId: '0'.repeat(32) },
    { incarnation: '0'.repeat(32), blobId: '../../etc/passwd' },
    { incarnation: '0'.repeat(32), blobId: 'A'.repeat(32) },
  ])('is never looked for outside of the store: %j', async (location) => {
    expect(await codeOf(blobs.open(location))).toBe('NotFound');
    expect(await codeOf(blobs.delete(location))).toBe('NotFound');
  });
});

describe('the store', () => {
  test('makes no blob below the reserve of free space', async () => {
    expect(await codeOf(open(Number.MAX_SAFE_INTEGER).create())).toBe('NoSpace');
  });

  test('lists incarnations and blobs, and nothing that is not one', async () => {
    const { location } = await write('a');
    const other = newId();
    prepareFilesystemBlobs({ path, incarnation: other });
    writeFileSync(join(path, 'lock.db'), '');
    writeFileSync(join(path, incarnation, 'README'), '');
    expect((await blobs.incarnations()).toSorted()).toEqual([incarnation, other].toSorted());
    expect(await collect(blobs.list(incarnation))).toEqual([location.blobId]);
    expect(await collect(blobs.list(other))).toEqual([]);
    expect(await collect(blobs.list(newId()))).toEqual([]);
  });

  test('drops an incarnation only when it is empty', async () => {
    const { location } = await write('a');
    expect(await blobs.dropIncarnation(incarnation)).toBe(false);
    await blobs.delete(location);
    expect(await blobs.dropIncarnation(incarnation)).toBe(true);
    expect(await blobs.dropIncarnation(incarnation)).toBe(true);
    expect(existsSync(join(path, incarnation))).toBe(false);
  });

  test('says what the filesystem refused', async () => {
    rmSync(join(path, incarnation), { recursive: true });
    expect(await codeOf(blobs.create())).toBe('Unavailable');
    symlinkSync(join(path, incarnation), join(path, incarnation));
    expect(await codeOf(collect(blobs.list(incarnation)))).toBe('Unavailable');
    expect(await codeOf(blobs.dropIncarnation(incarnation))).toBe('Unavailable');
    expect(await codeOf(blobs.delete({ incarnation, blobId: newId() }))).toBe('Unavailable');
    rmSync(path, { recursive: true });
    expect(await codeOf(blobs.incarnations())).toBe('Unavailable');
    mkdirSync(path);
  });
});
