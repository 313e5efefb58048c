import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NOW_MS, setUpDoctor } from './doctor.testkit.ts';
import { FINDING_CODES } from './findings.ts';
import { kmipReport } from './report.ts';
import { kmipReportText } from './reportText.ts';
import { foreign, span } from './words.ts';

const PAGE = readFileSync(new URL('../../../docs/doctor.md', import.meta.url), 'utf8');

/** Every name of a field in the document. */
function fieldNames(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap((entry) => fieldNames(entry));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) => [name, ...fieldNames(field)]);
}

test('docs/doctor.md explains every code of a finding, and names every field of the report', async () => {
  const { run } = setUpDoctor(2);
  const report = kmipReport([await run()], { madeAtMs: NOW_MS, version: '1.2.3' });
  const names = new Set([...FINDING_CODES, ...fieldNames(report)]);
  expect([...names].filter((name) => !PAGE.includes(`\`${name}\``))).toEqual([]);
});

test('the text starts with the verdict and the cause, and no line is much longer than a screen', async () => {
  const { kms, run } = setUpDoctor();
  kms.refuse = (operation) => (operation === 'Create' ? 0x0c : null);
  const text = kmipReportText(kmipReport([await run()], { madeAtMs: NOW_MS, version: '1.2.3' }));
  expect(text.split('\n').slice(0, 7)).toEqual([
    'Connection kms: NOT HEALTHY, 1 problem, 1 warning',
    '',
    'PROBLEM RightMissing: The user of certificate CN=unit test may not create symmetric keys; every',
    '  encrypted bucket gets a key of its own. The KMS answered Permission Denied: fake refusal.',
    '  Ask the KMS team: for the right to create symmetric keys (KMIP Create).',
    '',
    expect.stringMatching(/^WARNING ClientCertificatePurpose: /),
  ]);
  expect(text).toMatch(/FAILED {2}Create {12}kms1\.example\.com:5696 {2}the KMS answered Permission Denied/);
  expect(text).toMatch(/\nMade 2027-01-01T00:00:00\.000Z by Sealgate 1\.2\.3\. This report holds no key/);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(110);
});

test('foreign words cannot move the cursor, and lose every copy of the password', () => {
  expect(foreign('a\u001b[2J\nb\u202ec secret-d', 'secret')).toBe('a [2J b c (password)-d');
  expect(foreign('x'.repeat(1000))).toHaveLength(300);
});

test.each([
  [0, '0 seconds'],
  [61_000, '1 minute'],
  [-7_200_000, '2 hours'],
  [86_400_000, '1 day'],
])('%i ms is %s', (ms, words) => {
  expect(span(ms)).toBe(words);
});
