/** Tampering with blob files: what somebody can do who holds the blob store. */
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import type { Undo } from './liveDatabase.ts';
import { undoAll } from './liveDatabase.ts';
import { type Expectation, family, type Kind, type Scene, type Tampering } from './mutation.ts';
import type { Random } from './random.ts';
import type { Specimen } from './specimens.ts';

const HEADER = 72;
const TAG = 16;
const CHUNK = 131_072 + TAG;

function rewrite(path: string, bytes: Buffer): Undo {
  const original = readFileSync(path);
  writeFileSync(path, bytes);
  return () => writeFileSync(path, original);
}

/** An encrypted object whose body is in files. */
function stored({ lane, random }: Scene): Specimen {
  const { blobs, big, parts, overwritten, original, copy } = lane;
  return random.pick([...blobs, ...blobs, big, parts, overwritten.specimen, original, copy]);
}

/** Replaces the content of one of an object's files by what `edit` makes of it. */
function editFile(
  scene: Scene,
  edit: (bytes: Buffer, random: Random) => Buffer,
  expectation: Expectation = 'refuse',
): Tampering {
  const specimen = stored(scene);
  const path = scene.random.pick(scene.places.files(specimen));
  const undo = rewrite(path, edit(readFileSync(path), scene.random));
  return { targets: family(specimen), expectation, undo };
}

function flip(from: (bytes: Buffer, random: Random) => readonly [number, number]): Kind['tamper'] {
  return (scene) =>
    editFile(scene, (bytes, random) => {
      const [start, end] = from(bytes, random);
      const at = start + random.int(end - start);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.int(8));
      return bytes;
    });
}

const chunks = (bytes: Buffer): Buffer[] => {
  const found: Buffer[] = [];
  for (let at = HEADER; at < bytes.length; at += CHUNK) found.push(bytes.subarray(at, at + CHUNK));
  return found;
};
const assemble = (bytes: Buffer, pieces: readonly Buffer[]): Buffer =>
  Buffer.concat([bytes.subarray(0, HEADER), ...pieces]);
const fullChunks = (bytes: Buffer): number => Math.floor((bytes.length - HEADER) / CHUNK);

/** The files of two objects: contents exchanged as a whole, or by `mix`. */
function exchange(
  scene: Scene,
  one: Specimen,
  other: Specimen,
  mix: (a: Buffer, b: Buffer) => readonly [Buffer, Buffer] = (a, b) => [b, a],
): Tampering {
  const a = scene.random.pick(scene.places.files(one));
  const b = scene.random.pick(scene.places.files(other));
  const [first, second] = mix(readFileSync(a), readFileSync(b));
  const undo = undoAll(rewrite(a, first), rewrite(b, second));
  return { targets: [...family(one), ...family(other)], expectation: 'refuse', undo };
}

/** One file's content in the place of an object's. */
function replaceBy(specimen: Specimen, scene: Scene, bytes: Buffer): Tampering {
  const path = scene.random.pick(scene.places.files(specimen));
  return { targets: family(specimen), expectation: 'refuse', undo: rewrite(path, bytes) };
}

export const FILE_KINDS: readonly Kind[] = [
  { name: 'file: flip in fixed header', times: 10, tamper: flip(() => [0, 8]) },
  { name: 'file: flip in salt', times: 10, tamper: flip(() => [8, 40]) },
  { name: 'file: flip in commitment', times: 10, tamper: flip(() => [40, HEADER]) },
  { name: 'file: flip anywhere', times: 20, tamper: flip((bytes) => [0, bytes.length]) },
  {
    name: 'file: flip in a tag',
    times: 12,
    tamper: flip((bytes, random) => {
      const end = Math.min(bytes.length, HEADER + (random.int(chunks(bytes).length) + 1) * CHUNK);
      return [end - TAG, end];
    }),
  },
  {
    name: 'file: truncate',
    times: 14,
    tamper: (scene) =>
      editFile(scene, (bytes, random) =>
        bytes.subarray(0, random.pick([0, HEADER, bytes.length - 1, random.int(bytes.length)])),
      ),
  },
  {
    name: 'file: extend',
    times: 10,
    tamper: (scene) =>
      editFile(scene, (bytes, random) =>
        Buffer.concat([bytes, random.bytes(random.pick([1, TAG, CHUNK, 1 + random.int(999)]))]),
      ),
  },
  {
    name: 'file: cut chunks off and fill up with random bytes',
    times: 6,
    tamper: (scene) =>
      editFile(scene, (bytes, random) => {
        const kept = HEADER + random.int(chunks(bytes).length) * CHUNK;
        return Buffer.concat([bytes.subarray(0, kept), random.bytes(bytes.length - kept)]);
      }),
  },
  {
    name: 'file: swap two chunks',
    times: 12,
    tamper: (scene) =>
      editFile(scene, (bytes, random) => {
        const pieces = chunks(bytes);
        const count = fullChunks(bytes);
        if (count < 2) return Buffer.concat([bytes, Buffer.alloc(TAG)]);
        const [a, b] = random.pickTwo([...Array(count).keys()]);
        const [first, second] = [pieces[a], pieces[b]];
        if (first === undefined || second === undefined) throw new Error('there are no two chunks');
        return assemble(bytes, pieces.with(a, second).with(b, first));
      }),
  },
  {
    name: 'file: repeat a chunk in place of the next',
    times: 8,
    tamper: (scene) =>
      editFile(scene, (bytes, random) => {
        const pieces = chunks(bytes);
        const count = fullChunks(bytes);
        if (count < 2) return bytes.subarray(0, HEADER);
        const at = random.int(count - 1);
        return assemble(bytes, pieces.with(at + 1, pieces[at] ?? Buffer.alloc(0)));
      }),
  },
  {
    name: 'file: drop a chunk',
    times: 8,
    tamper: (scene) =>
      editFile(scene, (bytes, random) => {
        const pieces = chunks(bytes);
        return assemble(bytes, pieces.toSpliced(random.int(pieces.length), 1));
      }),
  },
  {
    name: 'file: swap a chunk between two objects',
    times: 12,
    tamper: (scene) => {
      const { blobs, elsewhere, original } = scene.lane;
      const other = scene.random.pick([blobs[1], elsewhere.blob, original]);
      return exchange(scene, blobs[0], other, (a, b) => {
        const at = scene.random.int(fullChunks(a));
        const [ours, theirs] = [chunks(a), chunks(b)];
        const [mine, its] = [ours[at] ?? Buffer.alloc(0), theirs[at] ?? Buffer.alloc(0)];
        return [assemble(a, ours.with(at, its)), assemble(b, theirs.with(at, mine))];
      });
    },
  },
  {
    name: 'file: swap blobs of one length in a bucket',
    times: 10,
    tamper: (scene) =>
      exchange(scene, scene.lane.blobs[0], scene.random.pick([scene.lane.blobs[1], scene.lane.copy])),
  },
  {
    name: 'file: swap blobs of different length',
    times: 8,
    tamper: (scene) =>
      exchange(scene, scene.lane.blobs[1], scene.random.pick([scene.lane.big, scene.lane.parts])),
  },
  {
    name: 'file: swap blobs of two buckets',
    times: 10,
    tamper: (scene) => exchange(scene, scene.lane.blobs[0], scene.lane.elsewhere.blob),
  },
  {
    name: 'file: swap the parts of an object, or with another object',
    times: 8,
    tamper: (scene) => {
      const { parts, elsewhere } = scene.lane;
      if (scene.random.int(2) === 0) return exchange(scene, parts, elsewhere.parts);
      const [first = '', second = ''] = scene.places.files(parts);
      const [a, b] = [readFileSync(first), readFileSync(second)];
      const undo = undoAll(rewrite(first, b), rewrite(second, a));
      return { targets: [parts], expectation: 'refuse', undo };
    },
  },
  {
    name: 'file: an older version of the key',
    times: 6,
    tamper: (scene) => replaceBy(scene.lane.overwritten.specimen, scene, scene.lane.overwritten.beforeFile),
  },
  {
    name: 'file: a plain blob, or the plaintext itself',
    times: 8,
    tamper: (scene) => {
      const specimen = scene.random.pick(scene.lane.blobs);
      const [plainFile = ''] = scene.places.files(scene.lane.plain.blob);
      const plaintext = specimen.versions[0] ?? Buffer.alloc(0);
      const filled = Buffer.concat([plaintext, Buffer.alloc(HEADER + chunks(plaintext).length * TAG)]);
      return replaceBy(specimen, scene, scene.random.pick([readFileSync(plainFile), plaintext, filled]));
    },
  },
  {
    name: 'file: delete',
    times: 8,
    tamper: (scene) => {
      const specimen = stored(scene);
      const path = scene.random.pick(scene.places.files(specimen));
      const original = readFileSync(path);
      unlinkSync(path);
      return {
        targets: family(specimen),
        expectation: 'refuse',
        undo: () => writeFileSync(path, original, { mode: 0o600 }),
      };
    },
  },
  {
    name: 'file: flip in a plain blob',
    times: 4,
    tamper: (scene) => {
      const specimen = scene.lane.plain.blob;
      const [path = ''] = scene.places.files(specimen);
      const bytes = readFileSync(path);
      const at = scene.random.int(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << scene.random.int(8));
      return { targets: [specimen], expectation: 'refuse', undo: rewrite(path, bytes) };
    },
  },
];
