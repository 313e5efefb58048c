import { expect, test } from 'vitest';
import { KmipError, type KmipErrorCode } from './errors.ts';
import { judge, reasonName } from './reasons.ts';

const result = (reason: number | null) => judge(new KmipError('Result', '', { sent: true, reason }));

test.each([
  ['Unavailable', [0x2a, 0x3a, 0x100]],
  ['NotFound', [0x01, 0x36, 0x37]],
  ['AccessDenied', [0x03, 0x0c, 0x39, 0x14, 0x15]],
  ['InvalidState', [0x43, 0x0b, 0x0d]],
  ['Refused', [0x16, 0x17, 0x10, 0x13, 0x02, 0x04, 0x05, 0x08, 0x3f, 0x06, 0x07, 0x7fffffff, null]],
] as const)('%s: %j', (code, reasons) => {
  for (const reason of reasons) expect(result(reason).code).toBe(code);
});

test('only an outage may be bridged with a key from the cache', () => {
  for (let reason = 0; reason <= 0x100; reason += 1) {
    const verdict = result(reason);
    expect(verdict.retryable).toBe(verdict.code === 'Unavailable');
  }
});

test('reasons that speak against the version ask for a new agreement', () => {
  const renegotiate = Array.from({ length: 0x101 }, (_, reason) => reason).filter(
    (reason) => result(reason).renegotiate,
  );
  expect(renegotiate).toEqual([0x02, 0x04, 0x05, 0x08, 0x3f]);
});

test.each(['Connection', 'Timeout', 'Malformed'] satisfies KmipErrorCode[])('%s is an outage', (code) => {
  expect(judge(new KmipError(code, '', { sent: true }))).toMatchObject({
    code: 'Unavailable',
    retryable: true,
  });
});

test('reasons are told by name, unknown ones by number', () => {
  expect([reasonName(0x0c), reasonName(0x80000001), reasonName(null)]).toEqual([
    'Permission Denied',
    'reason 0x80000001',
    'no reason given',
  ]);
});
