/**
 * Reads a system-call trace (strace -f -y) and finds answers that were sent before what they promise was synced.
 *
 * A killed process does not lose the page cache, so a crash test cannot see a missing sync; the trace can.
 */
import { basename, dirname } from 'node:path';

/** What strace must trace. Run it as `strace -f -y -s 64 -e trace=... -o file`. */
export const TRACED_CALLS = 'openat,write,writev,pwrite64,pwritev,fdatasync,fsync,sendmsg,sendto';

interface Call {
  readonly name: string;
  readonly args: string;
  /** Line on which it began, and on which it returned. */
  readonly began: number;
  readonly ended: number;
  readonly failed: boolean;
}

/** Joins unfinished and resumed calls; the order is the order of return. */
function parseTrace(text: string): Call[] {
  const calls: Call[] = [];
  const pending = new Map<string, { readonly name: string; readonly args: string; readonly began: number }>();
  text.split('\n').forEach((line, index) => {
    const match = /^(\d+)\s+(.*)$/.exec(line);
    if (match === null) return;
    const [, thread = '', rest = ''] = match;
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    if (resumed !== null) {
      const start = pending.get(thread);
      pending.delete(thread);
      if (start === undefined) return;
      const { name, args, began } = start;
      calls.push({ name, args: args + (resumed[2] ?? ''), began, ended: index, failed: / = -1 /.test(rest) });
      return;
    }
    const call = /^(\w+)\((.*)$/.exec(rest);
    if (call === null) return;
    const [, name = '', args = ''] = call;
    if (args.includes('<unfinished ...>')) pending.set(thread, { name, args, began: index });
    else calls.push({ name, args, began: index, ended: index, failed: / = -1 /.test(args) });
  });
  return calls;
}

/** What was found of one kind of file between two answers. */
interface Written {
  /** When its last byte was accepted by the kernel. */
  lastWrite: number;
  /** When the newest sync of it began that then succeeded. */
  synced: number;
}

export interface TraceReport {
  /** Answers `HTTP/1.1 200` that were looked at. */
  readonly answers: number;
  readonly blobsCreated: number;
  readonly walWrites: number;
  /** Each names the answer and the file that was not durable before it. */
  readonly violations: readonly string[];
}

/**
 * Checks that at each `HTTP/1.1 200` everything written so far was synced: every blob after its last byte, its
 * folder after the file was created, the WAL after its last frame. Requests must have been made one after another.
 */
export function checkTrace(text: string, dataFolder: string): TraceReport {
  const files = new Map<string, Written>();
  const violations: string[] = [];
  let answers = 0;
  let blobsCreated = 0;
  let walWrites = 0;
  const at = (path: string): Written => {
    const known = files.get(path) ?? { lastWrite: -1, synced: -1 };
    files.set(path, known);
    return known;
  };
  for (const call of parseTrace(text)) {
    if (call.failed) continue;
    const path = /^\d+<([^>]*)>/.exec(call.args)?.[1] ?? '';
    if (call.name === 'openat') {
      const created = /"([^"]+)", [^,]*O_CREAT\|O_EXCL/.exec(call.args)?.[1];
      if (created === undefined || !isBlob(created, dataFolder)) continue;
      blobsCreated += 1;
      at(created).lastWrite = call.ended;
      at(dirname(created)).lastWrite = call.ended;
    } else if (call.name === 'fdatasync' || call.name === 'fsync') {
      const file = at(path);
      file.synced = Math.max(file.synced, call.began);
    } else if (path.startsWith('socket:') || path.startsWith('TCP')) {
      if (!call.args.includes('"HTTP/1.1 200')) continue;
      answers += 1;
      for (const [name, { lastWrite, synced }] of files) {
        if (lastWrite < 0 || synced > lastWrite) continue;
        violations.push(`answer ${answers} was sent before ${kindOf(name, dataFolder)} was synced`);
      }
    } else if (isBlob(path, dataFolder) || basename(path) === 'metadata.db-wal') {
      if (path.endsWith('-wal')) walWrites += 1;
      at(path).lastWrite = call.ended;
    }
  }
  return { answers, blobsCreated, walWrites, violations };
}

function isBlob(path: string, dataFolder: string): boolean {
  return (
    path.startsWith(`${dataFolder}/blobs/`) &&
    /^[0-9a-f]{32}$/.test(basename(path)) &&
    /^[0-9a-f]{32}$/.test(basename(dirname(path)))
  );
}

function kindOf(path: string, dataFolder: string): 'the blob' | 'its folder' | 'the WAL' {
  if (path.endsWith('-wal')) return 'the WAL';
  return isBlob(path, dataFolder) ? 'the blob' : 'its folder';
}
