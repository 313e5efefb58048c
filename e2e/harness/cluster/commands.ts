/** Commands that end by themselves: their output, or why they failed. */
import { spawn } from 'node:child_process';
import { ClusterError } from './clusterError.ts';

export interface CommandOptions {
  /** What the command reads. */
  readonly stdin?: string | Buffer;
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/**
 * Runs a command and resolves with what it wrote to standard output.
 * Rejects with ClusterError `command_failed`, whose message has what it wrote to standard error.
 */
export async function runCommand(command: readonly string[], options: CommandOptions = {}): Promise<string> {
  const [program = '', ...args] = command;
  const name = program.slice(program.lastIndexOf('/') + 1);
  return await new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) =>
      reject(new ClusterError('command_failed', `${name} ${why}`, { cause }));
    const child = spawn(program, args, {
      env: { ...process.env, ...options.env },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (piece: Buffer) => out.push(piece));
    child.stderr.on('data', (piece: Buffer) => errors.push(piece));
    child.once('error', (error) => fail('cannot be run', error));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(Buffer.concat(out).toString());
      else fail(`ended with ${code ?? signal}: ${Buffer.concat(errors).toString().trim()}`);
    });
    // A command that ends without reading everything tells why by its exit code.
    child.stdin.on('error', (error) => {
      if (!('code' in error && error.code === 'EPIPE')) fail('cannot be written to', error);
    });
    child.stdin.end(options.stdin ?? '');
  });
}
