/**
 * Files whose plaintext can be recognised, byte-by-byte comparison, and the search of a store for plaintext.
 *
 * The search reads the files of a folder as they are on disk: databases, write-ahead logs, blobs, logs.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, utimes } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** A file with a text in it that is nowhere else in the world. */
export interface Material {
  readonly path: string;
  readonly sizeBytes: number;
  readonly marker: string;
}

const BLOCK_BYTES = 64 * 1024;
/** Markers repeat at this distance, so that some are whole whatever page or chunk size they are stored in. */
const MARKER_STEP_BYTES = 1000;

function block(index: number, seed: Buffer, marker: Buffer): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  // Different in every block, so that a block in the wrong place is seen; cheap, so that 200 MB take no time.
  const fill = createHash('sha512').update(seed).update(String(index)).digest();
  bytes.fill(fill);
  for (let at = 0; at + marker.length <= BLOCK_BYTES; at += MARKER_STEP_BYTES) marker.copy(bytes, at);
  return bytes;
}

/** Writes a file of `sizeBytes` with a new marker all over it. */
export async function makeMaterial(path: string, sizeBytes: number): Promise<Material> {
  const marker = `marker-${randomBytes(12).toString('hex')}`;
  const seed = randomBytes(16);
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'w');
  try {
    for (let index = 0; index * BLOCK_BYTES < sizeBytes; index++) {
      const bytes = block(index, seed, Buffer.from(marker));
      await file.write(bytes.subarray(0, Math.min(BLOCK_BYTES, sizeBytes - index * BLOCK_BYTES)));
    }
  } finally {
    await file.close();
  }
  // S3 tells times in whole seconds: a file made in the second of its upload would look newer than its object to sync.
  const hourAgoSeconds = Date.now() / 1000 - 3600;
  await utimes(path, hourAgoSeconds, hourAgoSeconds);
  return { path, sizeBytes, marker };
}

/** Throws unless both files hold the same bytes. */
export async function expectSameFile(expected: string, actual: string): Promise<void> {
  const files = await Promise.all([open(expected), open(actual)]);
  try {
    const [a, b] = [Buffer.alloc(1 << 20), Buffer.alloc(1 << 20)];
    for (let position = 0; ; ) {
      const [fromA, fromB] = await Promise.all([
        files[0].read(a, 0, a.length, position),
        files[1].read(b, 0, b.length, position),
      ]);
      if (!a.subarray(0, fromA.bytesRead).equals(b.subarray(0, fromB.bytesRead))) {
        throw new Error(`${actual} differs from ${expected} in the MiB at ${position}`);
      }
      if (fromA.bytesRead === 0) return;
      position += fromA.bytesRead;
    }
  } finally {
    await Promise.all(files.map((file) => file.close()));
  }
}

/** Throws unless `actual` is the content of the file. */
export async function expectSameBytes(expected: string, actual: Uint8Array): Promise<void> {
  const bytes = await readFile(expected);
  if (!bytes.equals(actual))
    throw new Error(`${actual.length} bytes differ from the ${bytes.length} of ${expected}`);
}

/** The files under a folder, by path from it, in order. */
async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .toSorted();
}

/** Throws unless both folders hold the same files with the same bytes. */
export async function expectSameFolder(expected: string, actual: string): Promise<void> {
  const names = await filesUnder(expected);
  const found = await filesUnder(actual);
  if (names.join('\n') !== found.join('\n')) {
    throw new Error(`${actual} holds ${found.join(', ')}; expected ${names.join(', ')}`);
  }
  for (const name of names) await expectSameFile(join(expected, name), join(actual, name));
}

/** Read at once. */
const PIECE_BYTES = 4 << 20;

async function holds(path: string, needle: Buffer): Promise<boolean> {
  const overlap = needle.length - 1;
  const bytes = Buffer.alloc(overlap + PIECE_BYTES);
  const file = await open(path);
  try {
    for (let carried = 0; ; ) {
      const { bytesRead } = await file.read(bytes, carried, PIECE_BYTES);
      if (bytesRead === 0) return false;
      const end = carried + bytesRead;
      if (bytes.subarray(0, end).includes(needle)) return true;
      carried = Math.min(overlap, end);
      bytes.copyWithin(0, end - carried, end);
    }
  } finally {
    await file.close();
  }
}

/** The files under `folder`, by path from it, that hold these bytes as they are. */
export async function filesHolding(folder: string, needle: Buffer): Promise<string[]> {
  const found: string[] = [];
  for (const name of await filesUnder(folder)) {
    if (await holds(join(folder, name), needle)) found.push(name);
  }
  return found;
}
