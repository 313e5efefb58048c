import { describe, expect, it } from 'vitest';
import { accountOf, accountOfFiles } from './account.ts';

const file = (name: string, seconds: number, tests: unknown[], message = '') => ({
  name: `/root/${name}`,
  status: tests.some((test) => JSON.stringify(test).includes('"failed"')) || message ? 'failed' : 'passed',
  message,
  startTime: 1000,
  endTime: 1000 + seconds * 1000,
  assertionResults: tests,
});
const passed = { status: 'passed', fullName: 'a works', failureMessages: [] };
const failed = { status: 'failed', fullName: 'a breaks', failureMessages: ['expected 1\n  at line 3'] };
const text = (...files: unknown[]): string => JSON.stringify({ testResults: files });

describe('the account of a run', () => {
  it('names the files that took longest, over all reports', () => {
    const texts = [text(file('a.test.ts', 2, [passed]), file('b.test.ts', 61, [passed]))];
    expect(accountOf([...texts, text(file('c.test.ts', 7.25, [passed]))], '/root', 2)).toEqual([
      'longest files:',
      '    61.0 s  b.test.ts',
      '     7.3 s  c.test.ts',
    ]);
  });

  it('gives each failed test with its message', () => {
    expect(accountOf([text(file('a.test.ts', 1, [passed, failed]))], '/root', 0)).toEqual([
      'failed tests:',
      '  a.test.ts > a breaks',
      '    expected 1',
      '      at line 3',
    ]);
  });

  it('gives a file that crashed with what it said', () => {
    expect(accountOf([text(file('a.test.ts', 1, [], 'no such import'))], '/root', 0)).toEqual([
      'failed tests:',
      '  a.test.ts',
      '    no such import',
    ]);
  });

  it('leaves out a report that was not written', () => {
    expect(accountOfFiles(['/nonexistent/report.json'], '/root', 5)).toEqual([]);
  });

  it('refuses a text that is no report', () => {
    expect(() => accountOf(['{}'], '/root', 5)).toThrow();
  });
});
