import { describe, expect, test } from 'vitest';
import { FakeClock } from '../fakeClock.testkit.ts';
import { KmsError } from '../keys.ts';
import { testSettings } from '../settings.testkit.ts';
import { failure, setUpClient } from './client.testkit.ts';
import { KmipClient } from './client.ts';
import { STATE } from './tags.ts';

const NAME = 'sealgate-bucket-v1-0123456789abcdef';

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
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey({ state });
    if (typeof expected === 'string') expect((await failure(client.fetchKey(kmsId))).code).toBe(expected);
    else expect(await client.fetchKey(kmsId)).toMatchObject(expected);
  });

  test('Permission Denied is AccessDenied for an Active key, InvalidState for one that may not be given out', async () => {
    const { kms, client } = setUpClient();
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
    const { kms, client } = setUpClient();
    kms.refuse = (operation) => (operation === 'GetAttributes' ? reason : null);
    expect((await failure(client.fetchKey(kms.addKey()))).code).toBe(code);
    expect(kms.count('GetAttributes')).toBe(1);
  });

  test('a passing failure is tried once more', async () => {
    const { kms, client, events } = setUpClient();
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
    const { kms, client } = setUpClient();
    kms.refuse = (operation) => (operation === 'GetAttributes' ? 0x2a : null);
    expect((await failure(client.fetchKey(kms.addKey()))).code).toBe('Unavailable');
    expect(kms.count('GetAttributes')).toBe(2);
  });

  test('every frame that was sent or received is erased', async () => {
    const { kms, client } = setUpClient({ credentials: { username: 'u', password: 'p' } });
    await client.fetchKey(kms.addKey());
    expect(kms.frames).toHaveLength(4);
    for (const frame of kms.frames) expect(frame.equals(Buffer.alloc(frame.length))).toBe(true);
  });

  test('an answer that makes no sense is an outage, on a connection that is not used again', async () => {
    const { kms, client, events } = setUpClient();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    kms.mode = 'nonsense';
    expect((await failure(client.fetchKey(kmsId))).code).toBe('Unavailable');
    kms.mode = 'up';
    await client.fetchKey(kmsId);
    expect(events.filter((event) => event.endsWith('Malformed'))).not.toHaveLength(0);
  });
});

describe('creating a key', () => {
  test('sends one Create and gives the identifier', async () => {
    const { kms, client } = setUpClient();
    const kmsId = await client.createKey(NAME);
    expect(kms.key(kmsId)).toMatchObject({ name: NAME, state: STATE.preActive });
    expect(kms.count('Create')).toBe(1);
  });

  test('a lost answer is told as such and not repeated', async () => {
    const { clock, kms, client } = setUpClient();
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
    const { kms, client } = setUpClient();
    kms.refuse = (operation) => (operation === 'Create' ? reason : null);
    expect(await failure(client.createKey(NAME))).toMatchObject(expected);
    expect(kms.count('Create')).toBe(1);
  });

  test('a request that never left was certainly not carried out', async () => {
    const { kms, client } = setUpClient();
    kms.mode = 'refuse';
    expect(await failure(client.createKey(NAME))).toMatchObject({ code: 'Unavailable', maybeDone: false });
  });

  test.each(['', 'a b', 'a/b', 'ü', 'x'.repeat(129)])('the name %j is not sent', async (name) => {
    const { kms, client } = setUpClient();
    expect((await failure(client.createKey(name))).code).toBe('Refused');
    expect(kms.connections).toBe(0);
  });
});

describe('locating a key', () => {
  const reservedMs = 1_700_000_000_000;

  test('finds none, or the one that is ours', async () => {
    const { kms, client } = setUpClient();
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
    const { kms, client } = setUpClient();
    kms.addKey({ name: NAME, createdMs: reservedMs, ...changes });
    expect((await failure(client.locateKey(NAME, reservedMs))).code).toBe('Conflict');
  });

  test('several are a conflict', async () => {
    const { kms, client } = setUpClient();
    for (let count = 0; count < 2; count += 1) kms.addKey({ name: NAME, createdMs: reservedMs });
    expect((await failure(client.locateKey(NAME, reservedMs))).code).toBe('Conflict');
  });
});

describe('activating a key', () => {
  test('activates a Pre-Active one and leaves an Active one alone', async () => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey({ state: STATE.preActive });
    for (let count = 0; count < 2; count += 1)
      expect(await client.activateKey(kmsId)).toMatchObject({ writable: true });
    expect(kms.count('Activate')).toBe(1);
  });

  test('a refusal because someone else was faster is no failure', async () => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey({ state: STATE.preActive });
    kms.refuse = (operation) => {
      if (operation !== 'Activate') return null;
      kms.key(kmsId).state = STATE.active;
      return 0x0c;
    };
    expect(await client.activateKey(kmsId)).toMatchObject({ writable: true });
  });

  test('a failure inside the server is repeated once, after a look at the state', async () => {
    const { kms, client } = setUpClient();
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
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey({ state: STATE.preActive });
    kms.refuse = (operation) => (operation === 'Activate' ? 0x0c : null);
    expect((await failure(client.activateKey(kmsId))).code).toBe('AccessDenied');
  });
});

describe('revoking a key', () => {
  test.each([
    ['Active', STATE.active, STATE.deactivated, 1],
    ['Pre-Active', STATE.preActive, STATE.preActive, 0],
    ['Deactivated', STATE.deactivated, STATE.deactivated, 0],
    ['Compromised', STATE.compromised, STATE.compromised, 0],
    ['Destroyed', STATE.destroyed, STATE.destroyed, 0],
  ] as const)('that is %s', async (_name, before, after, requests) => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey({ state: before });
    await client.revokeKey(kmsId);
    expect(kms.key(kmsId).state).toBe(after);
    expect(kms.count('Revoke')).toBe(requests);
  });

  test('that is gone is no failure', async () => {
    const { kms, client } = setUpClient();
    await client.revokeKey('gone');
    expect(kms.count('Revoke')).toBe(0);
  });

  test('a lost answer is followed by a look, and by no second Revoke', async () => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    kms.loseNext = 'Revoke';
    await client.revokeKey(kmsId);
    expect(kms.key(kmsId).state).toBe(STATE.deactivated);
    expect(kms.count('Revoke')).toBe(1);
  });
});

describe('destroying a key', () => {
  test.each([STATE.preActive, STATE.deactivated, STATE.compromised])('in state %i', async (state) => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey({ state });
    await client.destroyKey(kmsId);
    expect(kms.keys.has(kmsId)).toBe(false);
    await client.destroyKey(kmsId);
    expect(kms.count('Destroy')).toBe(1);
  });

  test('whose metadata stayed behind in state Destroyed is done', async () => {
    const { kms, client } = setUpClient();
    await client.destroyKey(kms.addKey({ state: STATE.destroyedCompromised }));
    expect(kms.count('Destroy')).toBe(0);
  });

  test('that is Active is refused before the KMS is asked', async () => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey();
    expect((await failure(client.destroyKey(kmsId))).code).toBe('InvalidState');
    expect(kms.count('Destroy')).toBe(0);
  });

  test('a right that is missing is told', async () => {
    const { kms, client } = setUpClient();
    kms.refuse = (operation) => (operation === 'Destroy' ? 0x0c : null);
    expect((await failure(client.destroyKey(kms.addKey({ state: STATE.deactivated })))).code).toBe(
      'AccessDenied',
    );
  });
});

test('no endpoint is refused', () => {
  expect(() => setUpClient({ endpoints: [] })).toThrow(KmsError);
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
