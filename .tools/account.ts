/** What a reader of a long run looks for first, said last: each failed test with its message, and the files that took longest. */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { z } from 'zod';

const report = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().optional(),
      startTime: z.number(),
      endTime: z.number(),
      assertionResults: z.array(
        z.object({
          status: z.string(),
          fullName: z.string(),
          failureMessages: z.array(z.string()).nullish(),
        }),
      ),
    }),
  ),
});

type TestFile = z.infer<typeof report>['testResults'][number];

/** Lines of a message that are shown; the whole of it stands where the test failed. */
const MESSAGE_LINES = 12;

function indented(message: string): string[] {
  const lines = message.trimEnd().split('\n').slice(0, MESSAGE_LINES);
  return lines.map((line) => `    ${line}`);
}

function failuresOf(file: TestFile, root: string): string[] {
  const name = relative(root, file.name);
  const failed = file.assertionResults.filter((test) => test.status === 'failed');
  if (failed.length === 0 && file.status === 'failed') {
    return [`  ${name}`, ...indented(file.message ?? '')];
  }
  return failed.flatMap((test) => [
    `  ${name} > ${test.fullName}`,
    ...(test.failureMessages ?? []).flatMap(indented),
  ]);
}

/**
 * The lines about some vitest reports.
 *
 * @param texts vitest's JSON reports
 * @param slowest how many of the files that took longest are named
 * @throws when a text is not a vitest report
 */
export function accountOf(texts: readonly string[], root: string, slowest: number): string[] {
  const files = texts.flatMap((text) => report.parse(JSON.parse(text)).testResults);
  const longest = files
    .map((file) => ({ name: relative(root, file.name), seconds: (file.endTime - file.startTime) / 1000 }))
    .toSorted((a, b) => b.seconds - a.seconds)
    .slice(0, slowest);
  const failures = files.flatMap((file) => failuresOf(file, root));
  return [
    ...(longest.length === 0 ? [] : ['longest files:']),
    ...longest.map(({ name, seconds }) => `  ${seconds.toFixed(1).padStart(6)} s  ${name}`),
    ...(failures.length === 0 ? [] : ['failed tests:']),
    ...failures,
  ];
}

/** The same from files; one that a run did not write is left out. */
export function accountOfFiles(paths: readonly string[], root: string, slowest: number): string[] {
  const texts = paths.filter((path) => existsSync(path)).map((path) => readFileSync(path, 'utf8'));
  return accountOf(texts, root, slowest);
}
