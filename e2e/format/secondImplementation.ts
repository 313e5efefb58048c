/** Runs the second implementation of the format (Python) as a process that answers one JSON line to each. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { JsonObject } from '../../dataplane/crypto/vectors/operation.ts';
import type { OperationName } from '../../dataplane/crypto/vectors/operations.ts';

const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('operations.py', import.meta.url));

const answer = z.union([
  z.strictObject({ output: z.record(z.string(), z.json()) }),
  z.strictObject({ refused: z.string() }),
]);

/** What an implementation did with an operation: its output, or null when it refused. */
export type Outcome = JsonObject | null;

export class SecondImplementation {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #stdin: NodeJS.WritableStream;

  constructor() {
    const process = spawn(PYTHON, ['-B', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#process = process;
    this.#stdin = process.stdin;
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
  }

  /** Runs one operation; one at a time. Rejects when the process ended. */
  async run(operation: OperationName, input: JsonObject): Promise<Outcome> {
    this.#stdin.write(`${JSON.stringify({ operation, input })}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`the second implementation ended during ${operation}`);
    const parsed = answer.parse(JSON.parse(line.value));
    return 'output' in parsed ? parsed.output : null;
  }

  async close(): Promise<void> {
    if (this.#process.exitCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#stdin.end();
    await ended;
  }
}

/** Runs vector files through the second implementation; resolves to its exit code and what it printed. */
export async function runVectors(
  paths: readonly string[],
): Promise<{ exitCode: number | null; printed: string }> {
  const process = spawn(PYTHON, ['-B', SCRIPT, ...paths], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  process.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(process, 'close');
  return { exitCode: process.exitCode, printed: Buffer.concat(chunks).toString() };
}
