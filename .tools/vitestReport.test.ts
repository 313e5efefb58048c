import { describe, expect, it } from 'vitest';
import { tallyOf, tallyOfFile } from './vitestReport.ts';

const file = (status: string, ...tests: string[]) => ({
  name: 'a.test.ts',
  status,
  message: '',
  assertionResults: tests.map((one) => ({ status: one })),
});
const report = (success: boolean, passed: number, failed: number, files: unknown[], pending = 0): string =>
  JSON.stringify({
    success,
    numPassedTests: passed,
    numFailedTests: failed,
    numPendingTests: pending,
    numTodoTests: 0,
    testResults: files,
  });

describe('the counts of a vitest run', () => {
  it.each([
    ['all passed', report(true, 2, 0, [file('passed', 'passed', 'passed')]), 0, { passed: 2, failed: 0 }],
    ['one failed', report(false, 1, 1, [file('failed', 'passed', 'failed')]), 1, { passed: 1, failed: 1 }],
    [
      'a file crashed',
      report(false, 1, 0, [file('passed', 'passed'), file('failed')]),
      1,
      { passed: 1, failed: 1 },
    ],
    [
      'a hook failed after its tests passed',
      report(false, 1, 0, [file('failed', 'passed')]),
      1,
      { passed: 1, failed: 1 },
    ],
    [
      'a test was skipped',
      report(true, 1, 0, [file('passed', 'passed', 'pending')], 1),
      0,
      { passed: 1, failed: 1 },
    ],
    [
      'an error outside of any test',
      report(false, 1, 0, [file('passed', 'passed')]),
      1,
      { passed: 1, failed: 1 },
    ],
    ['no test at all', report(true, 0, 0, []), 0, { passed: 0, failed: 1 }],
  ])('when %s', (_, text, exitCode, expected) => {
    expect(tallyOf(text, exitCode)).toEqual(expected);
  });

  it('is one failure when the run wrote no report', () => {
    expect(tallyOfFile('/nonexistent/report.json', 0)).toEqual({ passed: 0, failed: 1 });
  });

  it('refuses a text that is no report', () => {
    expect(() => tallyOf('{}', 0)).toThrow();
  });
});
