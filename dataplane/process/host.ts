/** How this process sits on its machine: cores, libuv's pool, debuggers. */
import { url as inspectorUrl } from 'node:inspector';
import { availableParallelism } from 'node:os';

/** The number of S3 worker threads. More than one needs SO_REUSEPORT, which only Linux spreads over listeners. */
export function workerCount(setting: number | 'auto', platform: NodeJS.Platform = process.platform): number {
  if (platform !== 'linux') return 1;
  return setting === 'auto' ? availableParallelism() : setting;
}

/**
 * Sizes libuv's pool, which all threads share: with its default of 4, a few slow syncs stall every other file call.
 * It is read at the pool's first use, so this must come before the first asynchronous file call.
 */
export function sizeThreadPool(workers: number, env: NodeJS.ProcessEnv = process.env): void {
  env['UV_THREADPOOL_SIZE'] = String(Math.max(16, 4 * workers));
}

/** Whether a debugger could attach: it could read every key. */
export function inspectorRequested(
  execArgv: readonly string[] = process.execArgv,
  nodeOptions: string = process.env['NODE_OPTIONS'] ?? '',
): boolean {
  const asks = (option: string): boolean => /^--inspect(?:-brk|-wait|-port)?(?:=|$)/.test(option);
  return execArgv.some(asks) || nodeOptions.split(/\s+/).some(asks) || inspectorUrl() !== undefined;
}

/**
 * Free space that is left to DELETE, checkpoints and the log, of a disk of that size; below it writes are refused
 * with 503. A twentieth of a small disk, 256 MiB of a large one.
 */
export function freeSpaceReserveBytes(diskBytes: number): number {
  return Math.min(256 * 1024 * 1024, Math.floor(diskBytes / 20));
}
