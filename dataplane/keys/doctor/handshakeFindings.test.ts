import { X509Certificate } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { TEST_CERTIFICATE } from '../settings.testkit.ts';
import { certificateFacts, clientCertificateFindings } from './certificates.ts';
import { GOOD_HANDSHAKE, NOW_MS } from './doctor.testkit.ts';
import { ranked } from './findings.ts';
import type { Handshake } from './handshake.ts';
import { handshakeFindings } from './handshakeFindings.ts';

const CERTIFICATE = new X509Certificate(TEST_CERTIFICATE);
const CLIENT = certificateFacts(CERTIFICATE);
const YEAR_MS = 365 * 86_400_000;

function findings(look: Partial<Handshake>, nowMs = NOW_MS) {
  return handshakeFindings(
    { ...GOOD_HANDSHAKE, chain: [CERTIFICATE], ...look },
    {
      endpoint: { host: 'kms.example.com', port: 5696 },
      client: CLIENT,
      authorities: [CERTIFICATE],
      connectLimitMs: 3000,
      nowMs,
    },
  );
}

test('a handshake in order has no findings', () => {
  expect(findings({})).toEqual([]);
});

describe('an endpoint that is not reached', () => {
  test.each([
    ['ENOTFOUND', 'NameNotFound', 'cannot be resolved'],
    ['EAI_AGAIN', 'NameNotFound', 'cannot be resolved'],
    ['ECONNREFUSED', 'NotReachable', 'nothing listens on port 5696'],
    ['Timeout', 'NotReachable', 'within 3000 ms'],
    ['EHOSTUNREACH', 'NotReachable', 'cannot be reached (EHOSTUNREACH)'],
  ])('for %s is told as %s', (failure, code, words) => {
    const [finding] = findings({ reached: 'Nothing', failure, chain: [] });
    expect(finding).toMatchObject({ severity: 'Problem', code, endpoints: ['kms.example.com:5696'] });
    expect(finding?.what).toContain(words);
  });
});

describe('a handshake that the server ends', () => {
  test.each([
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'NotTls', 'not in TLS'],
    ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'TlsVersion', 'no version of TLS'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'TlsVersion', 'no version of TLS'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'ClientCertificateRefused', 'does not know the authority'],
    ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'ClientCertificateRefused', 'of this kind'],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'ClientCertificateRefused', 'Here it is valid until'],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'ClientCertificateRefused', 'does not accept it'],
    ['ECONNRESET', 'HandshakeFailed', 'without saying why'],
    ['Ended', 'HandshakeFailed', 'without saying why'],
    ['Timeout', 'HandshakeFailed', 'did not finish'],
  ])('with %s is told as %s', (failure, code, words) => {
    const [finding, ...more] = findings({ reached: 'Port', failure, chain: [] });
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ severity: 'Problem', code });
    expect(finding?.what).toContain(words);
  });

  test('after its own side was complete, as TLS 1.3 has it, is told the same', () => {
    const refusal = 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA';
    expect(findings({ refusal }).map(({ code }) => code)).toEqual(['ClientCertificateRefused']);
  });
});

describe('a server certificate', () => {
  test.each([
    ['SELF_SIGNED_CERT_IN_CHAIN', 'ServerCertificateNotTrusted', 'but with another key'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'ServerCertificateNotTrusted', 'but with another key'],
    ['CERT_HAS_EXPIRED', 'ServerCertificateExpired', 'by the clock of this machine'],
    ['CERT_NOT_YET_VALID', 'ServerCertificateNotYetValid', 'One of the two clocks is wrong'],
    ['INVALID_PURPOSE', 'ServerCertificateRefused', 'OpenSSL says INVALID_PURPOSE'],
  ])('that fails with %s is told as %s', (verifyError, code, words) => {
    const [finding, ...more] = findings({ verifyError, nameMatches: false });
    expect(more).toEqual([]);
    expect(finding).toMatchObject({ severity: 'Problem', code });
    expect(finding?.what).toContain(words);
  });

  test('of an authority that caFile does not have is told with both names', () => {
    const [finding] = handshakeFindings(
      { ...GOOD_HANDSHAKE, chain: [CERTIFICATE], verifyError: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
      {
        endpoint: { host: 'kms.example.com', port: 5696 },
        client: CLIENT,
        authorities: [],
        connectLimitMs: 3000,
        nowMs: NOW_MS,
      },
    );
    expect(finding?.what).toContain('was issued by CN=unit test, which is not in caFile');
    expect(finding?.doHere).toContain('Do not take it from the connection');
  });

  test('for another name is told with the name that it should have', () => {
    const [finding] = findings({ nameMatches: false, verifyError: 'ERR_TLS_CERT_ALTNAME_INVALID' });
    expect(finding).toMatchObject({ code: 'ServerCertificateForAnotherName' });
    expect(finding?.what).toContain('is for CN=unit test, not for kms.example.com');
  });

  test('near its end is a warning', () => {
    const [finding] = findings({}, CLIENT.notAfterMs - 86_400_000);
    expect(finding).toMatchObject({ severity: 'Warning', code: 'ServerCertificateExpiresSoon' });
    expect(finding?.what).toContain('in 1 day.');
  });
});

describe('the client certificate', () => {
  test.each([
    [CLIENT.notAfterMs + 90_000_000, ['ClientCertificateExpired']],
    [CLIENT.notBeforeMs - 1000, ['ClientCertificateNotYetValid']],
    [CLIENT.notAfterMs - 86_400_000, ['ClientCertificateExpiresSoon', 'ClientCertificatePurpose']],
    [CLIENT.notAfterMs - YEAR_MS, ['ClientCertificatePurpose']],
  ])('at %i is judged %j', (nowMs, codes) => {
    expect(clientCertificateFindings(CLIENT, nowMs).map(({ code }) => code)).toEqual(codes);
  });
});

test('findings are told problems first, causes first, and once for all endpoints that show them', () => {
  const about = { askKmsTeam: null, doHere: null };
  const sorted = ranked([
    { ...about, severity: 'Warning', code: 'ClientCertificatePurpose', what: 'w', endpoints: [] },
    { ...about, severity: 'Problem', code: 'RightMissing', what: 'r', endpoints: ['a:1'] },
    { ...about, severity: 'Problem', code: 'ClockOff', what: 'c', endpoints: ['a:1'] },
    { ...about, severity: 'Problem', code: 'RightMissing', what: 'r', endpoints: ['b:1', 'a:1'] },
    { ...about, severity: 'Problem', code: 'ClientCertificateExpired', what: 'e', endpoints: [] },
  ]);
  expect(sorted.map(({ code, endpoints }) => [code, ...endpoints])).toEqual([
    ['ClientCertificateExpired'],
    ['RightMissing', 'a:1', 'b:1'],
    ['ClockOff', 'a:1'],
    ['ClientCertificatePurpose'],
  ]);
});
