import { describe, expect, it } from 'vitest';
import { runStep, runSteps } from './steps.ts';

const quiet = (): { lines: string[]; say: (line: string) => void } => {
  const lines: string[] = [];
  return { lines, say: (line) => lines.push(line) };
};

describe('a step', () => {
  it.each([
    [['true'], { passed: 1, failed: 0 }],
    [['false'], { passed: 0, failed: 1 }],
    [['/nonexistent/program'], { passed: 0, failed: 1 }],
  ])('%j counts as %j', async (command, expected) => {
    expect(await runStep({ name: 'x', command }, process.cwd(), quiet().say)).toEqual(expected);
  });

  it('shows its output only when it fails', async () => {
    const good = quiet();
    await runStep({ name: 'good', command: ['sh', '-c', 'echo something'] }, process.cwd(), good.say);
    expect(good.lines.join('\n')).not.toContain('something');
    const bad = quiet();
    await runStep(
      { name: 'bad', command: ['sh', '-c', 'echo something >&2; exit 3'] },
      process.cwd(),
      bad.say,
    );
    expect(bad.lines).toEqual([expect.stringContaining('FAILED bad'), 'something']);
  });

  it('that is to be shown shows its output in any case, once it has ended', async () => {
    const { lines, say } = quiet();
    const command = ['sh', '-c', 'echo figures'];
    await runStep({ name: 'long', command, shown: true }, process.cwd(), say);
    expect(lines).toEqual([expect.stringContaining('ok     long'), 'figures']);
  });

  it('can count by itself', async () => {
    const step = {
      name: 'x',
      command: ['sh', '-c', 'exit 4'],
      tally: (code: number) => ({ passed: 7, failed: code }),
    };
    expect(await runStep(step, process.cwd(), quiet().say)).toEqual({ passed: 7, failed: 4 });
  });
});

describe('steps together', () => {
  it('add up, whichever failed', async () => {
    const steps = ['true', 'false', 'true', 'true'].map((command) => ({ name: command, command: [command] }));
    expect(await runSteps(steps, 2, process.cwd(), quiet().say)).toEqual({ passed: 3, failed: 1 });
  });
});
