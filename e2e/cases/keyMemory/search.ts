/** Looks for keys in heap snapshots and in the memory of a process, as somebody who could read them would. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

interface Snapshot {
  readonly snapshot: {
    readonly meta: { readonly node_fields: readonly string[]; readonly node_types: readonly unknown[] };
  };
  readonly nodes: readonly number[];
  readonly strings: readonly string[];
}

const CHUNK_BYTES = 4 * 1024 * 1024;

/** Secret keys among the objects that a heap snapshot holds: everything in it is reachable. */
export function secretKeysIn(file: string): number {
  const { snapshot, nodes, strings } = JSON.parse(readFileSync(file, 'utf8')) as Snapshot;
  const fields = snapshot.meta.node_fields;
  const [types] = snapshot.meta.node_types;
  if (!Array.isArray(types)) throw new Error('a heap snapshot of an unknown form');
  const object = types.indexOf('object');
  const [typeAt, nameAt] = [fields.indexOf('type'), fields.indexOf('name')];
  let found = 0;
  for (let at = 0; at < nodes.length; at += fields.length) {
    if (nodes[at + typeAt] === object && strings[nodes[at + nameAt] ?? 0] === 'SecretKeyObject') found += 1;
  }
  return found;
}

/** Whether a heap snapshot holds the key in a string: hex, base64 or byte by byte. */
export function snapshotSpells(file: string, key: Buffer): boolean {
  const { strings } = JSON.parse(readFileSync(file, 'utf8')) as Snapshot;
  const forms = [key.toString('hex'), key.toString('base64').slice(0, 40), key.toString('latin1')];
  return strings.some((text) => forms.some((form) => text.includes(form)));
}

/** How often the bytes stand in the writable memory of a process. */
export function copiesInMemory(pid: number, bytes: Buffer): number {
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  try {
    let copies = 0;
    for (const line of readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (from === undefined || to === undefined) continue;
      copies += copiesBetween(memory, Number.parseInt(from, 16), Number.parseInt(to, 16), bytes);
    }
    return copies;
  } finally {
    closeSync(memory);
  }
}

function copiesBetween(memory: number, from: number, to: number, bytes: Buffer): number {
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let copies = 0;
  // Chunks overlap, so that a copy across their border is seen, once.
  for (let at = from; at < to; at += CHUNK_BYTES - bytes.length + 1) {
    const length = read(memory, chunk, Math.min(CHUNK_BYTES, to - at), at);
    for (let found = -1; ; copies += 1) {
      found = chunk.subarray(0, length).indexOf(bytes, found + 1);
      if (found === -1) break;
    }
  }
  chunk.fill(0);
  return copies;
}

/** Bytes read; 0 where a mapping is gone or cannot be read (EIO, as devices). */
function read(memory: number, into: Buffer, length: number, at: number): number {
  try {
    return readSync(memory, into, 0, length, at);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EIO') return 0;
    throw error;
  }
}
