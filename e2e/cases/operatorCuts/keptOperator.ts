/**
 * The operator as a container of a pod would be: started anew whenever it has ended, under the same name in the Lease,
 * and killed at a message when it is told to.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { OperatorProcess } from '../operatorRuntime/operatorProcess.ts';
import { type CutOrder, cutAnswer } from './cutOrder.ts';

const PRELOAD = fileURLToPath(new URL('cutAtMessage.ts', import.meta.url));
const WORK = new URL('../../../operator/work.ts', import.meta.url).href;

export const LEASE_2S = ['--lease-duration=2s', '--renew-deadline=1800ms', '--retry-period=300ms'];

const NO_CUT: CutOrder = { step: null, side: 'before', signal: 'SIGKILL' };

export interface KeptOperatorOptions {
  readonly kubeconfig: string;
  readonly args: readonly string[];
  /** Folder of compiled code, see compileOperator. */
  readonly compiled: string;
}

export class KeptOperator {
  readonly #options: KeptOperatorOptions;
  #current: OperatorProcess;
  #kept = true;

  constructor(options: KeptOperatorOptions) {
    this.#options = options;
    this.#current = this.#start();
  }

  /** The one that runs, or has ended just now. */
  get current(): OperatorProcess {
    return this.#current;
  }

  /** Resolves when one has an epoch and is at work. */
  async leading(): Promise<void> {
    while (this.#kept) {
      try {
        await this.#current.said('leading');
        return;
      } catch {
        // It ended: the next one is started.
      }
    }
  }

  /** Takes effect when the operator has come to rest. The messages since the last order; null: it has ended. */
  async order(order: CutOrder = NO_CUT): Promise<readonly string[] | null> {
    const answer = await this.#current.ask(order);
    return answer === null ? null : cutAnswer.parse(answer).messages;
  }

  /** Starts none any more. */
  letGo(): void {
    this.#kept = false;
  }

  async close(): Promise<void> {
    this.letGo();
    this.#current.kill('SIGKILL');
    await this.#current.exited;
  }

  #start(): OperatorProcess {
    const { kubeconfig, args, compiled } = this.#options;
    const env = { NODE_COMPILE_CACHE: compiled };
    const started = new OperatorProcess(kubeconfig, args, { preload: PRELOAD, env });
    void started.exited.then(() => {
      if (this.#kept) this.#current = this.#start();
    });
    return started;
  }
}

/** Halves the start: a process that is killed leaves none of its compiled code, but one that ends by itself does. */
export async function compileOperator(folder: string): Promise<void> {
  const env = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: folder };
  const script = `await import(${JSON.stringify(WORK)})`;
  await once(
    spawn(process.execPath, ['--input-type=module', '-e', script], { env, stdio: 'ignore' }),
    'exit',
  );
}
