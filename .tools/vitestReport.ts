/** Counts of one vitest run, from its JSON report. A run that ended badly in any way has at least one failure. */
import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Tally } from './steps.ts';

const report = z.object({
  success: z.boolean(),
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      assertionResults: z.array(z.object({ status: z.string() })),
    }),
  ),
});

/**
 * Counts from the text of a report. A test file that failed without a failed test (it crashed, its hooks or its
 * imports threw) counts as one failure, so does a skipped test: what is not run proves nothing.
 *
 * @throws when the text is not a vitest report
 */
export function tallyOf(text: string, exitCode: number): Tally {
  const { success, testResults, ...counts } = report.parse(JSON.parse(text));
  const crashed = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = counts.numFailedTests + counts.numPendingTests + counts.numTodoTests + crashed;
  const unexplained = failed === 0 && (!success || exitCode !== 0 || counts.numPassedTests === 0) ? 1 : 0;
  return { passed: counts.numPassedTests, failed: failed + unexplained };
}

/** The same from a file; a run that wrote none counts as one failure. */
export function tallyOfFile(path: string, exitCode: number): Tally {
  return existsSync(path) ? tallyOf(readFileSync(path, 'utf8'), exitCode) : { passed: 0, failed: 1 };
}
