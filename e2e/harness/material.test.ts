import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { filesHolding } from './material.ts';

const PIECE_BYTES = 4 << 20;
const needle = Buffer.from('marker-0123456789abcdef');
const sizeBytes = 2 * PIECE_BYTES + 100;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealgate-material-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function search(bytes: Uint8Array): Promise<string[]> {
  await writeFile(join(folder, 'file'), bytes);
  return await filesHolding(folder, needle);
}

describe('the search for plaintext', () => {
  it.each([
    0,
    1,
    PIECE_BYTES - needle.length,
    PIECE_BYTES - needle.length + 1,
    PIECE_BYTES - 1,
    PIECE_BYTES,
    PIECE_BYTES + 1,
    2 * PIECE_BYTES - 5,
    sizeBytes - needle.length,
  ])('finds it at byte %i, where the file is read in pieces', async (at) => {
    const bytes = Buffer.alloc(sizeBytes);
    needle.copy(bytes, at);
    expect(await search(bytes)).toEqual(['file']);
  });

  it('takes no part of it for the whole', async () => {
    const bytes = Buffer.alloc(sizeBytes);
    needle.copy(bytes, PIECE_BYTES - 10, 0, needle.length - 1);
    needle.copy(bytes, sizeBytes - needle.length + 1);
    expect(await search(bytes)).toEqual([]);
    expect(await search(needle.subarray(1))).toEqual([]);
    expect(await search(new Uint8Array())).toEqual([]);
  });
});
