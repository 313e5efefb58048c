import { describe, expect, it } from 'vitest';
import { closingLine, sum, tallyOfSkipped } from './skipped.ts';

describe('files that a machine cannot run', () => {
  it('are counted apart, and named in the last line', () => {
    const total = sum([{ passed: 3, failed: 0 }, tallyOfSkipped(2, false)]);
    expect(total).toEqual({ passed: 3, failed: 0, skipped: 2 });
    expect(closingLine(total)).toBe('3 passed, 0 failed, 2 skipped');
  });

  it('are failed where every file must run', () => {
    expect(closingLine(sum([{ passed: 3, failed: 0 }, tallyOfSkipped(2, true)]))).toBe('3 passed, 2 failed');
  });

  it('do not show where there are none', () => {
    expect(closingLine(sum([{ passed: 3, failed: 1 }]))).toBe('3 passed, 1 failed');
  });
});
