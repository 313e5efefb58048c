import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { BUCKET_REASONS } from './bucket/reasons.ts';
import { CONNECTION_REASONS } from './kms/reasons.ts';

const PAGE = readFileSync(new URL('../docs/troubleshooting.md', import.meta.url), 'utf8');

/** `condition reason` of each row under a heading. */
function documented(kind: string): string[] {
  const [, section = ''] = PAGE.split(`\n## ${kind}\n`);
  const [table = ''] = section.split('\n## ');
  return table
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| condition'))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      const [, condition, reason, meaning = '', action = '', ...rest] = cells;
      expect(rest, line).toEqual(['']);
      expect(meaning.length > 0 && action.length > 0, line).toBe(true);
      return `${condition} ${reason}`;
    });
}

const inCode = (reasons: Readonly<Record<string, readonly string[]>>): string[] =>
  Object.entries(reasons).flatMap(([type, of]) => of.map((reason) => `${type} ${reason}`));

describe('docs/troubleshooting.md', () => {
  test.each([
    ['KMSConnection', CONNECTION_REASONS],
    ['EncryptedBucket', BUCKET_REASONS],
  ])('explains every reason of a %s once, and no other', (kind, reasons) => {
    expect(documented(kind).toSorted()).toEqual(inCode(reasons).toSorted());
  });
});

/** The code of the reconcilers, without the lists of reasons and without tests. */
const CODE = ['kms', 'bucket']
  .flatMap((folder) => globSync(`${import.meta.dirname}/${folder}/**/*.ts`))
  .filter((path) => !/reasons\.ts$|\.test\.ts$|\.testkit\.ts$/.test(path))
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n');

test.each([...new Set([CONNECTION_REASONS, BUCKET_REASONS].flatMap((of) => Object.values(of).flat()))])(
  'the reason %s is given somewhere',
  (reason) => {
    expect(CODE).toContain(`'${reason}'`);
  },
);

test('every event that is no condition is explained', () => {
  const told = [...CODE.matchAll(/reason: '(\w+)', action: '(?!Reconcile)/g)].map(([, reason]) => reason);
  expect(told.length).toBeGreaterThan(0);
  for (const reason of told) expect(PAGE).toContain(`| ${reason} |`);
});
