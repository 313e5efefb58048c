/** Ports of this machine's loopback that lead into the cluster's network; the process is relay.py. */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { startAndAwaitLine } from './firstLine.ts';
import type { Processes } from './processes.ts';

const PYTHON = '/usr/bin/python3';

/** Starts a relay to each address (such as 10.99.0.1:6443) and resolves with the loopback's ports, in order. */
export async function startRelay(
  processes: Processes,
  networkPid: number,
  targets: readonly string[],
): Promise<number[]> {
  const program = fileURLToPath(new URL('./relay.py', import.meta.url));
  const command = [PYTHON, program, `/proc/${networkPid}/ns/net`, ...targets];
  const { line } = await startAndAwaitLine(processes, `relay-${targets.join('-')}`, command);
  return z.array(z.number()).parse(JSON.parse(line));
}
