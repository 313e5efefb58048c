import { describe, expect, test } from 'vitest';
import { GOOD_HANDSHAKE } from '../../dataplane/keys/doctor/doctor.testkit.ts';
import type { Handshake } from '../../dataplane/keys/doctor/handshake.ts';
import { FakeClock, settle } from '../../dataplane/keys/fakeClock.testkit.ts';
import { FakeKms } from '../../dataplane/keys/fakeKms.testkit.ts';
import { testSettings } from '../../dataplane/keys/settings.testkit.ts';
import { type EndpointProbe, probeConnection } from './probe.ts';

function setUp(changes: Parameters<typeof testSettings>[0] = {}) {
  const clock = new FakeClock();
  const kms = new FakeKms(clock);
  const observed: string[] = [];
  const settings = testSettings({ protocol: { min: '1.1', max: '1.4' }, ...changes });
  return {
    kms,
    clock,
    observed,
    run: async (look: Partial<Handshake> = {}): Promise<EndpointProbe> => {
      const probing = probeConnection(settings, {
        clock,
        wallNow: () => Date.parse('2027-01-01T00:00:00Z'),
        observe: (_endpoint, verdict) => observed.push(verdict),
        connector: () => kms.connect,
        look: async () => await Promise.resolve({ ...GOOD_HANDSHAKE, ...look }),
      });
      const progress = { over: false };
      const watched = probing.finally(() => {
        progress.over = true;
      });
      await settle();
      for (let step = 0; !progress.over && step < 300; step += 1) await clock.advance(100);
      const [first] = await watched;
      if (first === undefined) throw new Error('no endpoint');
      return first;
    },
  };
}

test('an endpoint in order is up, with its version and vendor, and no key was touched', async () => {
  const { kms, run, observed } = setUp();
  kms.addKey();
  expect(await run()).toEqual({
    host: 'kms.example.com',
    port: 5696,
    verdict: 'Up',
    message: null,
    protocolVersion: '1.4',
    vendor: 'Fake KMS',
  });
  expect(kms.log).toEqual(['DiscoverVersions', 'Query', 'Locate']);
  expect(kms.keys.size).toBe(1);
  expect(observed).toEqual(['Up']);
});

describe('TLS that', () => {
  test.each<[string, Partial<Handshake>, string]>([
    ['is not reached', { reached: 'Nothing', failure: 'ECONNREFUSED' }, 'Unreachable'],
    ['is not answered', { reached: 'Nothing', failure: 'Timeout' }, 'Unreachable'],
    ['is refused', { reached: 'Port', failure: 'ECONNRESET' }, 'TlsFailed'],
    ['is not trusted', { verifyError: 'SELF_SIGNED_CERT_IN_CHAIN', nameMatches: false }, 'TlsFailed'],
    ['has expired', { verifyError: 'CERT_HAS_EXPIRED', nameMatches: false }, 'TlsFailed'],
    ['is for another name', { verifyError: 'ERR_TLS_CERT_ALTNAME_INVALID', nameMatches: false }, 'TlsFailed'],
    [
      'refuses our certificate',
      { reached: 'Port', failure: 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA' },
      'AuthenticationFailed',
    ],
    [
      'refuses it after TLS 1.3',
      { refusal: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' },
      'AuthenticationFailed',
    ],
  ])('%s %j is %s, and KMIP is not spoken', async (_what, look, expected) => {
    const { kms, run } = setUp();
    expect((await run(look)).verdict).toBe(expected);
    expect(kms.log).toEqual([]);
  });
});

describe('a KMS that answers', () => {
  test.each([
    ['DiscoverVersions', 0x03, 'AuthenticationFailed'],
    ['Locate', 0x03, 'AuthenticationFailed'],
    ['Locate', 0x0c, 'PermissionDenied'],
    ['Locate', 0x39, 'PermissionDenied'],
    ['Locate', 0x2a, 'KmsFailed'],
    ['Locate', 0x100, 'KmsFailed'],
    ['Locate', 0x04, 'KmsFailed'],
    ['Locate', 0x3f, 'KmsFailed'],
    ['Locate', 0x01, 'Up'],
    ['Locate', 0x05, 'Up'],
    ['Query', 0x0c, 'Up'],
  ] as const)('%s with reason 0x%s is %s', async (operation, reason, expected) => {
    const { kms, run } = setUp();
    kms.refuse = (asked) => (asked === operation ? reason : null);
    expect((await run()).verdict).toBe(expected);
  });

  test('in no version that may be spoken', async () => {
    const { kms, run } = setUp();
    kms.versions = ['1.0'];
    expect(await run()).toMatchObject({ verdict: 'KmsFailed', message: 'the KMS answers Invalid Message' });
  });

  test('with nonsense', async () => {
    const { kms, run } = setUp();
    kms.mode = 'nonsense';
    expect((await run()).verdict).toBe('KmsFailed');
  });
});

test.each(['hang', 'lose', 'refuse'] as const)('a KMS in mode %s is unreachable', async (mode) => {
  const { kms, run } = setUp();
  kms.mode = mode;
  expect((await run()).verdict).toBe('Unreachable');
});

test('all that is asked of one endpoint takes the total timeout at most', async () => {
  const { kms, run, clock } = setUp({ timeouts: { connectMs: 3_000, requestMs: 5_000, totalMs: 2_000 } });
  kms.mode = 'hang';
  const startedMs = clock.now();
  expect(await run()).toMatchObject({ verdict: 'Unreachable', message: 'no result within 2000 ms' });
  expect(clock.now() - startedMs).toBeLessThan(2_200);
});

test('what it says stays the same as long as the cause does, and holds no password', async () => {
  const { kms, run } = setUp({ credentials: { username: 'u', password: 'hunter22hunter22' } });
  kms.refuse = (asked) => (asked === 'Locate' ? 0x0c : null);
  const first = await run();
  expect(await run()).toEqual(first);
  expect(JSON.stringify(first)).not.toContain('hunter22');
});
