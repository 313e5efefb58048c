/** The operator as a process of its own, for cases that kill it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const MAIN = fileURLToPath(new URL('../../../operator/main.ts', import.meta.url));

const logLine = z.looseObject({ level: z.string(), msg: z.string() });

export type LogLine = z.infer<typeof logLine>;

export class OperatorProcess {
  readonly #child: ChildProcess;
  readonly lines: LogLine[] = [];
  readonly #listeners = new Set<() => void>();
  readonly exited: Promise<number | NodeJS.Signals>;

  /** `preload`: a module that is loaded before the operator, and that `ask` speaks to. */
  constructor(
    kubeconfig: string,
    args: readonly string[],
    {
      preload,
      env = {},
    }: { readonly preload?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ) {
    const before = preload === undefined ? [] : ['--import', preload];
    this.#child = spawn(
      process.execPath,
      [...before, MAIN, '--kubeconfig', kubeconfig, '--health-listen=127.0.0.1:0', ...args],
      {
        stdio: ['ignore', 'pipe', 'inherit', ...(preload === undefined ? [] : (['ipc'] as const))],
        env: { PATH: process.env['PATH'], ...env },
      },
    );
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('the operator has no standard output');
    createInterface({ input: stdout }).on('line', (text) => {
      this.lines.push(logLine.parse(JSON.parse(text)));
      for (const listener of this.#listeners) listener();
    });
    this.exited = new Promise((resolve) =>
      this.#child.on('exit', (code, signal) => resolve(code ?? signal ?? 'SIGKILL')),
    );
  }

  /** Resolves with the first line that says so. */
  said(message: string): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        const found = this.lines.find(({ msg }) => msg.includes(message));
        if (found === undefined) return;
        this.#listeners.delete(check);
        resolve(found);
      };
      this.#listeners.add(check);
      void this.exited.then(() => reject(new Error(`the operator ended without saying '${message}'`)));
      check();
    });
  }

  /** Sends a message to the preloaded module and resolves to its answer; null: the process ended without one. */
  async ask(message: object): Promise<unknown> {
    const answer = new Promise<unknown>((resolve) => {
      this.#child.once('message', resolve);
      void this.exited.then(() => resolve(null));
    });
    this.#child.send(message, () => undefined);
    return await answer;
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('the operator was not started');
    return pid;
  }

  get leads(): boolean {
    return this.lines.some(({ msg }) => msg === 'this process leads');
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }
}
