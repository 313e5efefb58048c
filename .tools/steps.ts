/**
 * One command run as a step of `make check` or `make test`.
 *
 * Owns how a step is started, timed and reported; knows nothing of what the commands prove.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';

/** What a step counts for in the last line of a run. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Files that this machine cannot run. */
  readonly skipped?: number;
}

export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Long steps show their output as it comes, short ones only when they fail. */
  readonly live?: boolean;
  /** Shows its output when it has ended, however it ended: a long step beside one that is live. */
  readonly shown?: boolean;
  /** Turns the end of the command into counts; without it the step counts as one. */
  readonly tally?: (exitCode: number) => Tally;
}

interface Ended {
  readonly exitCode: number;
  readonly output: string;
}

function run(step: Step, root: string): Promise<Ended> {
  const [program, ...args] = step.command;
  if (program === undefined) throw new Error(`step ${step.name} has no command`);
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: root,
      env: { ...process.env, ...step.env },
      stdio: step.live === true ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    });
    const pieces: Buffer[] = [];
    child.stdout?.on('data', (piece: Buffer) => pieces.push(piece));
    child.stderr?.on('data', (piece: Buffer) => pieces.push(piece));
    child.on('error', (error) => resolve({ exitCode: 127, output: `${program}: ${error.message}\n` }));
    child.on('close', (code) => resolve({ exitCode: code ?? 1, output: Buffer.concat(pieces).toString() }));
  });
}

/** Runs one step and says how it went; never rejects: what cannot be started counts as failed. */
export async function runStep(step: Step, root: string, say: (line: string) => void): Promise<Tally> {
  if (step.live === true) say(`-- ${step.name}`);
  const startedMs = performance.now();
  const { exitCode, output } = await run(step, root);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const tally = step.tally?.(exitCode) ?? { passed: exitCode === 0 ? 1 : 0, failed: exitCode === 0 ? 0 : 1 };
  const counts = step.tally === undefined ? '' : `  (${tally.passed} passed, ${tally.failed} failed)`;
  say(`${tally.failed === 0 ? 'ok    ' : 'FAILED'} ${step.name}  ${seconds} s${counts}`);
  if ((tally.failed > 0 || step.shown === true) && output !== '') say(output.trimEnd());
  return tally;
}

/** Runs the steps, at most `width` at a time, and adds up what they count for. */
export async function runSteps(
  steps: readonly Step[],
  width: number,
  root: string,
  say: (line: string) => void,
): Promise<Tally> {
  const waiting = [...steps];
  let passed = 0;
  let failed = 0;
  const lane = async (): Promise<void> => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const tally = await runStep(step, root, say);
      passed += tally.passed;
      failed += tally.failed;
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return { passed, failed };
}
