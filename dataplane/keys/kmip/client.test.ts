import { describe, expect, test } from 'vitest';
import { KmsError } from '../keys.ts';
import type { KmsConnectionSettings } from '../settings.ts';
import { FakeClock, settle } from '../testing/fakeClock.ts';
import { FakeKms } from '../testing/fakeKms.ts';
import { testSettings } from '../testing/settings.ts';
import { KmipClient } from './client.ts';
import { STATE } from './tags.ts';

const NAME = 'sealgate-bucket-v1-0123456789abcdef';

function setUp(changes: Partial<KmsConnectionSettings> = {}) {
  const clock = new FakeClock();
  const kms = new FakeKms(clock);
  const events: string[] = [];
  const client = new KmipClient(testSettings(changes), {
    clock,
    connector: () => kms.connect,
    observer: {
      requested: (_endpoint, operation, result) => events.push(`${operation} ${result}`),
      changed: (_endpoint, up) => events.push(up ? 'up' : 'down'),
      lacking: (_endpoint, operations) => events.push(`lacking ${operations.join(' ')}`),
    },
  });
  return { clock, kms, client, events };
}

/** Lets time pass until the work is settled, and gives the KmsError that it failed with. */
async function failure(work: Promise<unknown>, clock?: FakeClock): Promise<KmsError> {
  const progress = { settled: false };
  const outcome = work
    .then(
      () => new Error('expected a KmsError'),
      (error: unknown) => error,
    )
    .finally(() => {
      progress.settled = true;
    });
  await settle();
  for (let second = clock === undefined ? 60 : 0; !progress.settled && second < 60; second += 1) {
    await clock?.advance(1000);
  }
  const error = await outcome;
  if (error instanceof KmsError) return error;
  throw error;
}

describe('version negotiation', () => {
  test.each([
    ['the highest common version', ['1.4', '1.3', '1.2'], {}, '1.4'],
    ['the configured range', ['1.4', '1.3', '1.2', '1.1'], { min: '1.1', max: '1.2' }, '1.2'],
    ['a server that knows 1.1 at most', ['1.1', '1.0'], {}, '1.1'],
  ] as const)('finds %s', async (_what, versions, range, agreed) => {
    const { kms, client } = setUp({ protocol: { min: '1.0', max: '1.4', ...range } });
    kms.versions = [...versions];
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    expect(client.endpoints[0]?.protocolVersion).toBe(agreed);
    expect(kms.headers.at(-1)).toBe(agreed);
  });

  test('asks in a 1.2 header, then in a 1.1 header, then speaks the lowest configured version', async () => {
    const { kms, client } = setUp();
    kms.versions = ['1.0'];
    await client.fetchKey(kms.addKey());
    expect(kms.headers).toEqual(['1.2', '1.1', '1.0']);
  });

  test('no common version is Refused, not an outage', async () => {
    const { kms, client, events } = setUp({ protocol: { min: '1.4', max: '1.4' } });
    kms.versions = ['1.3', '1.2'];
    expect(await failure(client.fetchKey(kms.addKey()))).toMatchObject({ code: 'Refused' });
    expect(events).not.toContain('down');
  });

  test('a server that was downgraded is asked anew, once', async () => {
    const { kms, client } = setUp();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    kms.versions = ['1.2', '1.1'];
    await client.fetchKey(kmsId);
    expect(client.endpoints[0]?.protocolVersion).toBe('1.2');
  });

  test('a server that calls every message invalid is not asked without end', async () => {
    const { kms, client } = setUp();
    const kmsId = kms.addKey();
    kms.refuse = (operation) => (operation === 'GetAttributes' ? 0x04 : null);
    expect(await failure(client.fetchKey(kmsId))).toMatchObject({ code: 'Refused' });
    expect(kms.count('GetAttributes')).toBe(1);
  });
});

describe('fetching a key', () => {
  test.each([
    [STATE.active, { writable: true, compromised: false }],
    [STATE.deactivated, { writable: false, compromised: false }],
    [STATE.compromised, { writable: false, compromised: true }],
    [STATE.preActive, 'InvalidState'],
    [STATE.destroyed, 'NotFound'],
    [STATE.destroyedCompromised, 'NotFound'],
    [99, 'InvalidState'],
  ] as const)('obeys state %i, whatever Get answers', async (state, expected) => {
    const { kms, client } = setUp();
    const kmsId = kms.addKey({ state });
    if (typeof expected === 'string') expect((await failure(client.fetchKey(kmsId))).code).toBe(expected);
    else expect(await client.fetchKey(kmsId)).toMatchObject(expected);
  });

  test('Permission Denied is AccessDenied for an Active key, InvalidState for one that may not be given out', async () => {
    const { kms, client } = setUp();
    kms.refuse = (operation) => (operation === 'Get' ? 0x0c : null);
    expect((await failure(client.fetchKey(kms.addKey()))).code).toBe('AccessDenied');
    expect((await failure(client.fetchKey(kms.addKey({ state: STATE.deactivated })))).code).toBe(
      'InvalidState',
    );
  });

  test.each([
    [0x01, 'NotFound'],
    [0x0c, 'AccessDenied'],
    [0x17, 'Refused'],
  ] as const)('reason %i is %s, without asking again', async (reason, code) => {
    const { kms, client } = setUp();
    kms.refuse = (operation) => (operation === 'GetAttributes' ? reason : null);
    expect((await failure(client.fetchKey(kms.addKey()))).code).toBe(code);
    expect(kms.count('GetAttributes')).toBe(1);
  });

  test('a passing failure is tried once more', async () => {
    const { kms, client, events } = setUp();
    let failures = 1;
    kms.refuse = (operation) => (operation === 'Get' && failures-- > 0 ? 0x100 : null);
    expect(await client.fetchKey(kms.addKey())).toMatchObject({ writable: true });
    expect(events).toEqual([
      'up',
      'DiscoverVersions ok',
      'GetAttributes ok',
      'Get General Failure',
      'GetAttributes ok',
      'Get ok',
    ]);
  });

  test('a lasting outage of the server itself is Unavailable after the second try', async () => {
    const { kms, client } = setUp();
    kms.refuse = (operation) => (operation === 'GetAttributes' ? 0x2a : null);
    expect((await failure(client.fetchKey(kms.addKey()))).code).toBe('Unavailable');
    expect(kms.count('GetAttributes')).toBe(2);
  });

  test('every frame that was sent or received is erased', async () => {
    const { kms, client } = setUp({ credentials: { username: 'u', password: 'p' } });
    await client.fetchKey(kms.addKey());
    expect(kms.frames).toHaveLength(4);
    for (const frame of kms.frames) expect(frame.equals(Buffer.alloc(frame.length))).toBe(true);
  });

  test('an answer that makes no sense is an outage, on a connection that is not used again', async () => {
    const { kms, client, events } = setUp();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    kms.mode = 'nonsense';
    expect((await failure(client.fetchKey(kmsId))).code).toBe('Unavailable');
    kms.mode = 'up';
    await client.fetchKey(kmsId);
    expect(events.filter((event) => event.endsWith('Malformed'))).not.toHaveLength(0);
  });
});

describe('a server that does not answer', () => {
  test('is tried twice on connections of their own, within the total limit', async () => {
    const { clock, kms, client, events } = setUp();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    const startedMs = clock.now();
    kms.mode = 'hang';
    expect((await failure(client.fetchKey(kmsId), clock)).code).toBe('Unavailable');
    expect(clock.now() - startedMs).toBeLessThanOrEqual(11_000);
    expect(kms.connections).toBe(2);
    expect(events.filter((event) => event === 'down')).toHaveLength(1);
  });

  test('costs later requests nothing: they fail at once until a probe gets an answer', async () => {
    const { clock, kms, client, events } = setUp();
    const kmsId = kms.addKey();
    kms.mode = 'refuse';
    await failure(client.fetchKey(kmsId));
    const { attempts } = kms;
    expect((await failure(client.fetchKey(kmsId))).code).toBe('Unavailable');
    expect(kms.attempts).toBe(attempts);
    kms.mode = 'up';
    await clock.advance(5000);
    expect(await client.fetchKey(kmsId)).toMatchObject({ writable: true });
    expect(kms.log.slice(0, 2)).toEqual(['DiscoverVersions', 'Query']);
    expect(events.filter((event) => event === 'up' || event === 'down')).toEqual(['down', 'up']);
  });

  test.each([0, 0.999])('is probed every one to five seconds (jitter %d)', async (jitter) => {
    const { clock, kms, client } = setUp();
    clock.jitter = jitter;
    kms.mode = 'refuse';
    await client.probe();
    const { attempts } = kms;
    await clock.advance(60_000);
    expect(kms.attempts - attempts).toBeGreaterThanOrEqual(12);
    expect(kms.attempts - attempts).toBeLessThanOrEqual(60);
    client.close();
    expect(clock.pending).toBe(0);
  });

  test('does not let requests queue beyond the total limit', async () => {
    const { clock, kms, client } = setUp();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    kms.mode = 'hang';
    const outcomes = Promise.all(
      Array.from({ length: 5 }, async () => await failure(client.fetchKey(kmsId), clock)),
    );
    expect((await outcomes).map(({ code }) => code)).toEqual(Array(5).fill('Unavailable'));
  });
});

test('requests at the same time share at most two connections, and all are answered', async () => {
  const { kms, client } = setUp();
  const ids = Array.from({ length: 20 }, () => kms.addKey());
  const fetched = await Promise.all(ids.map(async (kmsId) => await client.fetchKey(kmsId)));
  expect(fetched.map(({ key }) => key.export()[0])).toEqual(ids.map((_, index) => index + 1));
  expect(kms.connections).toBeLessThanOrEqual(2);
});

describe('creating a key', () => {
  test('sends one Create and gives the identifier', async () => {
    const { kms, client } = setUp();
    const kmsId = await client.createKey(NAME);
    expect(kms.key(kmsId)).toMatchObject({ name: NAME, state: STATE.preActive });
    expect(kms.count('Create')).toBe(1);
  });

  test('a lost answer is told as such and not repeated', async () => {
    const { clock, kms, client } = setUp();
    await client.probe();
    kms.mode = 'lose';
    expect(await failure(client.createKey(NAME), clock)).toMatchObject({
      code: 'Unavailable',
      maybeDone: true,
    });
    expect(kms.keys.size).toBe(1);
  });

  test.each([
    ['a refusal', 0x07, { code: 'Refused', maybeDone: false }],
    ['a failure inside the server', 0x100, { code: 'Unavailable', maybeDone: true }],
  ] as const)('%s is not repeated either', async (_what, reason, expected) => {
    const { kms, client } = setUp();
    kms.refuse = (operation) => (operation === 'Create' ? reason : null);
    expect(await failure(client.createKey(NAME))).toMatchObject(expected);
    expect(kms.count('Create')).toBe(1);
  });

  test('a request that never left was certainly not carried out', async () => {
    const { kms, client } = setUp();
    kms.mode = 'refuse';
    expect(await failure(client.createKey(NAME))).toMatchObject({ code: 'Unavailable', maybeDone: false });
  });

  test.each(['', 'a b', 'a/b', 'ü', 'x'.repeat(129)])('the name %j is not sent', async (name) => {
    const { kms, client } = setUp();
    expect((await failure(client.createKey(name))).code).toBe('Refused');
    expect(kms.connections).toBe(0);
  });
});

describe('locating a key', () => {
  const reservedMs = 1_700_000_000_000;

  test('finds none, or the one that is ours', async () => {
    const { kms, client } = setUp();
    expect(await client.locateKey(NAME, reservedMs)).toBeNull();
    const kmsId = kms.addKey({ name: NAME, createdMs: reservedMs - 15 * 60_000 });
    expect(await client.locateKey(NAME, reservedMs)).toEqual({ kmsId });
  });

  test.each([
    ['another algorithm', { algorithm: 2 }],
    ['another length', { bits: 128 }],
    ['another usage mask', { mask: 4 }],
    ['an older Initial Date', { createdMs: reservedMs - 15 * 60_000 - 1000 }],
  ])('%s is a conflict', async (_what, changes) => {
    const { kms, client } = setUp();
    kms.addKey({ name: NAME, createdMs: reservedMs, ...changes });
    expect((await failure(client.locateKey(NAME, reservedMs))).code).toBe('Conflict');
  });

  test('several are a conflict', async () => {
    const { kms, client } = setUp();
    for (let count = 0; count < 2; count += 1) kms.addKey({ name: NAME, createdMs: reservedMs });
    expect((await failure(client.locateKey(NAME, reservedMs))).code).toBe('Conflict');
  });
});

describe('activating a key', () => {
  test('activates a Pre-Active one and leaves an Active one alone', async () => {
    const { kms, client } = setUp();
    const kmsId = kms.addKey({ state: STATE.preActive });
    for (let count = 0; count < 2; count += 1)
      expect(await client.activateKey(kmsId)).toMatchObject({ writable: true });
    expect(kms.count('Activate')).toBe(1);
  });

  test('a refusal because someone else was faster is no failure', async () => {
    const { kms, client } = setUp();
    const kmsId = kms.addKey({ state: STATE.preActive });
    kms.refuse = (operation) => {
      if (operation !== 'Activate') return null;
      kms.key(kmsId).state = STATE.active;
      return 0x0c;
    };
    expect(await client.activateKey(kmsId)).toMatchObject({ writable: true });
  });

  test('a failure inside the server is repeated once, after a look at the state', async () => {
    const { kms, client } = setUp();
    const kmsId = kms.addKey({ state: STATE.preActive });
    let failures = 1;
    kms.refuse = (operation) => (operation === 'Activate' && failures-- > 0 ? 0x100 : null);
    expect(await client.activateKey(kmsId)).toMatchObject({ writable: true });
    expect(kms.log.filter((operation) => operation !== 'DiscoverVersions')).toEqual([
      'GetAttributes',
      'Activate',
      'GetAttributes',
      'Activate',
      'GetAttributes',
      'Get',
    ]);
  });

  test('a refusal is told', async () => {
    const { kms, client } = setUp();
    const kmsId = kms.addKey({ state: STATE.preActive });
    kms.refuse = (operation) => (operation === 'Activate' ? 0x0c : null);
    expect((await failure(client.activateKey(kmsId))).code).toBe('AccessDenied');
  });
});

test('a probe tells the vendor, and what the server lacks', async () => {
  const { kms, client, events } = setUp();
  kms.operations = [0x01, 0x0a, 0x0b, 0x12, 0x18, 0x1e];
  await client.probe();
  expect(client.endpoints[0]).toMatchObject({ state: 'Up', vendor: 'Fake KMS' });
  expect(events).toContain('lacking Locate');
});

test.each([0, 2])('%i endpoints are refused', (count) => {
  const endpoints = Array.from({ length: count }, () => ({ host: 'kms.example.com', port: 5696 }));
  expect(() => setUp({ endpoints })).toThrow(KmsError);
});

test('a bad private key is refused without showing it', () => {
  const settings = testSettings({ tls: { ...testSettings().tls, key: 'SECRET' } });
  const make = () =>
    new KmipClient(settings, {
      clock: new FakeClock(),
      observer: { requested: () => {}, changed: () => {}, lacking: () => {} },
    });
  expect(make).toThrow(/TLS files/);
  expect(make).not.toThrow(/SECRET/);
});
