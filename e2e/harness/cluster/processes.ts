/**
 * The long-running processes of one cluster: started with a log file each, and recorded in a file, so that they can be
 * ended by who did not start them. A process is known by its id, the time it started and the boot of the machine:
 * an id alone may meanwhile be another process's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { ClusterError } from './clusterError.ts';

const RECORDS = 'processes.jsonl';
const END_LIMIT_MS = 10_000;

const identity = z.object({
  name: z.string(),
  pid: z.int().positive(),
  startedTicks: z.string(),
  boot: z.string(),
});

/** What tells a process from all others. */
export type ProcessIdentity = z.infer<typeof identity>;

/** When a process started, in clock ticks since boot (proc(5), field 22 of stat); null when there is none. */
export function startedTicks(pid: number): string | null {
  const fields = statFields(pid);
  if (fields === null) return null;
  // A process that has ended and waits for its parent to take notice runs no more: once all its threads have ended, for
  // until then it holds its ports.
  const ended = fields[0] === 'X' || (fields[0] === 'Z' && threadCount(pid) <= 1);
  return ended ? null : (fields[19] ?? null);
}

/** The threads of a process that are not gone; 0 when there is no such process. */
function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) {
      return 0;
    }
    throw error;
  }
}

/** The process that started this one; null when there is no such process. */
export function parentOf(pid: number): number | null {
  const parent = statFields(pid)?.[1];
  return parent === undefined ? null : Number(parent);
}

/** The fields of stat after the command's name, which may hold blanks and brackets. */
function statFields(pid: number): string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) {
      return null;
    }
    throw error;
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Whether the process that was recorded still runs. */
export function stillRuns(process: ProcessIdentity): boolean {
  return process.boot === bootId() && startedTicks(process.pid) === process.startedTicks;
}

/** One running process of a cluster. */
export interface ClusterProcess {
  readonly identity: ProcessIdentity;
  /** Its standard output, if that was to be a pipe. */
  readonly output: Readable | null;
  /** The end of its log. */
  logTail(): string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A pipe for standard input instead of nothing: what reads it sees its end when this process dies. */
  readonly tied?: boolean;
  /** A pipe for standard output instead of the log. */
  readonly piped?: boolean;
}

/** Starts processes of the cluster that lives in a folder. */
export class Processes {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** Starts a command in a process group of its own. Its log is <name>.log of the folder. Throws when it cannot be run. */
  async start(name: string, command: readonly string[], options: StartOptions = {}): Promise<ClusterProcess> {
    const [program = '', ...args] = command;
    const logFile = path.join(this.folder, `${name}.log`);
    const log = openSync(logFile, 'a', 0o600);
    let child: ChildProcess;
    try {
      child = spawn(program, args, {
        cwd: this.folder,
        detached: true,
        env: { ...process.env, ...options.env },
        stdio: [options.tied === true ? 'pipe' : 'ignore', options.piped === true ? 'pipe' : log, log],
      });
    } finally {
      closeSync(log);
    }
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', (error) =>
        reject(new ClusterError('ended_early', `${name} cannot be run`, { cause: error })),
      );
    });
    const identity = this.record(name, child.pid ?? 0);
    child.unref();
    return {
      identity,
      output: child.stdout,
      logTail: () => readFileSync(logFile, 'utf8').slice(-4000),
    };
  }

  /** Records a process that one of these has started. */
  record(name: string, pid: number): ProcessIdentity {
    const identity = { name, pid, startedTicks: startedTicks(pid) ?? '', boot: bootId() };
    appendFileSync(path.join(this.folder, RECORDS), `${JSON.stringify(identity)}\n`);
    return identity;
  }
}

/** The processes that were ever started for the cluster of this folder, in the order of their start. */
export function recordedProcesses(folder: string): ProcessIdentity[] {
  const file = path.join(folder, RECORDS);
  if (!existsSync(file)) return [];
  // A line that was being written when its writer was killed is cut off: what it would name had no work to do yet.
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [identity.parse(JSON.parse(line))];
      } catch (error) {
        if (error instanceof SyntaxError) return [];
        throw error;
      }
    });
}

/** Whether the cluster of this folder runs with all its processes, those that were started again included. */
export function stillComplete(folder: string): boolean {
  const latest = new Map(recordedProcesses(folder).map((process) => [process.name, process]));
  return latest.size > 0 && [...latest.values()].every(stillRuns);
}

export interface EndOptions {
  /** Only those with this name. */
  readonly name?: string;
  /** All but this process. */
  readonly except?: number;
  readonly signal?: NodeJS.Signals;
}

/**
 * Ends what still runs of the cluster in this folder, by SIGKILL if nothing else is said, and resolves when it is gone.
 * Rejects with ClusterError `not_removed` when it is not gone in time.
 */
export async function endRecorded(folder: string, options: EndOptions = {}): Promise<void> {
  const { name, except, signal = 'SIGKILL' } = options;
  const running = recordedProcesses(folder).filter(
    (process) =>
      process.pid !== except && (name === undefined || process.name === name) && stillRuns(process),
  );
  for (const process of running.toReversed()) send(process, signal);
  for (const process of running) await whenEnded(process);
}

/** Resolves when the process has ended; rejects with ClusterError `not_removed` when that takes too long. */
export async function whenEnded(process: ProcessIdentity): Promise<void> {
  const limitMs = Date.now() + END_LIMIT_MS;
  while (stillRuns(process)) {
    if (Date.now() > limitMs) {
      throw new ClusterError('not_removed', `${process.name} (${process.pid}) did not end`);
    }
    await delay(10);
  }
}

function send(target: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!stillRuns(target)) return;
  try {
    process.kill(target.pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
