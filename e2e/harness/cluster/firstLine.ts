/** Processes that say by a line on standard output that they are ready, and then write there no more. */
import { ClusterError } from './clusterError.ts';
import type { ClusterProcess, Processes } from './processes.ts';

/** Starts a process and resolves with its first line; rejects with ClusterError when it ends before. */
export async function startAndAwaitLine(
  processes: Processes,
  name: string,
  command: readonly string[],
): Promise<{ readonly process: ClusterProcess; readonly line: string }> {
  const process = await processes.start(name, command, { piped: true });
  let text = '';
  for await (const piece of process.output ?? []) {
    text += String(piece);
    const end = text.indexOf('\n');
    if (end >= 0) return { process, line: text.slice(0, end) };
  }
  throw new ClusterError('ended_early', `${name} ended\n${process.logTail()}`);
}
