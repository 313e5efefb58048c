/**
 * Test files that a machine cannot run. They are counted apart, so that no run looks complete that was not; where every
 * file must run, as in continuous integration, they count as failed.
 */
import type { Tally } from './steps.ts';

/** What a group of files counts for that was not run. */
export function tallyOfSkipped(files: number, mustRun: boolean): Tally {
  return mustRun ? { passed: 0, failed: files } : { passed: 0, failed: 0, skipped: files };
}

/** The last line of a run. */
export function closingLine({ passed, failed, skipped = 0 }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/** Counts added up. */
export function sum(tallies: readonly Tally[]): Tally {
  const total = tallies.reduce(
    (a, b) => ({
      passed: a.passed + b.passed,
      failed: a.failed + b.failed,
      skipped: (a.skipped ?? 0) + (b.skipped ?? 0),
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
  return total;
}
