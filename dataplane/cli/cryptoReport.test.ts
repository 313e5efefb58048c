import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type CryptoReport, cryptoFindings, cryptoReportText } from './cryptoReport.ts';
import { measureCryptoSpeed } from './cryptoSpeed.ts';

const fast = { sealMBps: 2000, openMBps: 1900 };
const slow = { sealMBps: 90, openMBps: 80 };

test.each([
  ['instructions that help', true, null, fast, slow, []],
  ['no instructions', false, null, slow, slow, ['Problem NoAesInstructions']],
  ['instructions that do not help', true, null, slow, slow, ['Problem InstructionsNotUsed']],
  [
    'instructions that were switched off',
    true,
    'OPENSSL_ia32cap',
    slow,
    slow,
    ['Problem InstructionsNotUsed', 'Warning SwitchedByEnvironment'],
  ],
  ['a system that does not tell, and a gain', null, null, fast, slow, []],
  ['a system that does not tell, and no gain', null, null, slow, null, ['Warning InstructionsUnknown']],
  ['instructions on an unknown architecture', true, null, fast, null, []],
] as const)('%s', (_name, aesInstructions, switchedBy, asItIs, withoutInstructions, expected) => {
  const findings = cryptoFindings({ aesInstructions, switchedBy, speed: { asItIs, withoutInstructions } });
  expect(findings.map(({ severity, code }) => `${severity} ${code}`)).toEqual(expected);
});

test('a body is sealed, opened and timed at least once', () => {
  const { sealMBps, openMBps } = measureCryptoSpeed(0);
  expect(sealMBps).toBeGreaterThan(0);
  expect(openMBps).toBeGreaterThan(0);
});

const REPORT: CryptoReport = {
  report: 'sealgate.doctor.crypto/v1',
  madeAt: '2027-01-01T00:00:00.000Z',
  version: '1.2.3',
  healthy: false,
  findings: [{ severity: 'Problem', code: 'NoAesInstructions', what: 'None.', doHere: 'Do this.' }],
  node: '24.0.0',
  openssl: '3.5.0',
  architecture: 'x64',
  processor: 'A processor',
  cores: 2,
  aesInstructions: false,
  switchedBy: null,
  speed: { asItIs: slow, withoutInstructions: slow },
};

test('the text starts with the verdict and the cause', () => {
  expect(cryptoReportText(REPORT).split('\n').slice(0, 6)).toEqual([
    'Cryptography: NOT HEALTHY',
    '',
    'PROBLEM NoAesInstructions: None.',
    '  Do this.',
    '',
    '  OpenSSL 3.5.0, in Node.js 24.0.0',
  ]);
});

test('docs/doctor.md names every field and code of the report on cryptography', () => {
  const page = readFileSync(new URL('../../docs/doctor.md', import.meta.url), 'utf8');
  const codes = ['NoAesInstructions', 'InstructionsNotUsed', 'InstructionsUnknown', 'SwitchedByEnvironment'];
  const names = [...codes, ...Object.keys(REPORT), ...Object.keys(REPORT.speed), ...Object.keys(fast)];
  expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
});
