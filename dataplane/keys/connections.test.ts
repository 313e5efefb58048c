import { describe, expect, test } from 'vitest';
import { KmsConnections } from './connections.ts';
import { FakeClock, settle } from './fakeClock.testkit.ts';
import { FakeKms } from './fakeKms.testkit.ts';
import { KmsError } from './keys.ts';
import { testSettings } from './settings.testkit.ts';

const NAME = 'sealgate-bucket-v1-0123456789abcdef';

function setUp() {
  const clock = new FakeClock();
  const kms = new FakeKms(clock);
  const lines: string[] = [];
  const evictions: string[] = [];
  const connections = new KmsConnections({
    clock,
    connector: () => kms.connect,
    log: (level, _fields, message) => lines.push(`${level}: ${message}`),
    evict: (connection, kmsId) => evictions.push(`${connection} ${kmsId ?? 'all'}`),
  });
  return { clock, kms, lines, evictions, connections };
}

async function code(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KmsError) return error.code;
    throw error;
  }
  return 'done';
}

test('a key is made, located, activated and fetched, with few requests', async () => {
  const { kms, connections } = setUp();
  await connections.update([testSettings()]);
  const kmsId = await connections.createKey('kms', NAME);
  expect(await connections.locateKey('kms', NAME, 0)).toEqual({ kmsId });
  const checkValue = await connections.activateKey('kms', kmsId);
  const { key } = await connections.key('kms', kmsId, checkValue);
  expect(key.export()).toEqual(kms.key(kmsId).material);
  expect(kms.count('Get')).toBe(1);
});

test('a located key that is not Active cannot serve a bucket', async () => {
  const { kms, connections } = setUp();
  await connections.update([testSettings()]);
  const kmsId = kms.addKey({ state: 3 });
  expect(await code(connections.activateKey('kms', kmsId))).toBe('InvalidState');
});

test('taking over connections does not wait for a KMS that is away', async () => {
  const { kms, lines, connections } = setUp();
  kms.mode = 'refuse';
  await connections.update([testSettings()]);
  await settle();
  expect(connections.status()[0]?.endpoints[0]).toMatchObject({ state: 'Down', lastError: 'refused' });
  expect(lines).toEqual(['warn: KMS endpoint is down']);
});

test.each(['key', 'createKey', 'activateKey', 'revokeKey', 'destroyKey', 'locateKey', 'flush'] as const)(
  '%s of a connection that is not configured is UnknownConnection',
  async (call) => {
    const { connections } = setUp();
    const calls = {
      key: async () => await connections.key('other', 'k', ''),
      createKey: async () => await connections.createKey('other', NAME),
      activateKey: async () => await connections.activateKey('other', 'k'),
      revokeKey: async () => await connections.revokeKey('other', 'k'),
      destroyKey: async () => await connections.destroyKey('other', 'k'),
      locateKey: async () => await connections.locateKey('other', NAME, 0),
      flush: async () => await Promise.resolve().then(() => connections.flush('other')),
    };
    expect(await code(calls[call]())).toBe('UnknownConnection');
  },
);

describe('an update', () => {
  test('with the same settings touches nothing', async () => {
    const { kms, evictions, connections } = setUp();
    await connections.update([testSettings()]);
    await settle();
    await connections.update([testSettings()]);
    expect(kms.connections).toBe(1);
    expect(evictions).toEqual([]);
  });

  test('opens the changed connection before the old one is left, and asks for every key again', async () => {
    const { kms, lines, evictions, connections } = setUp();
    await connections.update([testSettings()]);
    const kmsId = kms.addKey();
    const checkValue = await connections.activateKey('kms', kmsId);
    await connections.update([testSettings({ keyNamePrefix: 'other' })]);
    expect(kms.connections).toBeGreaterThan(1);
    expect(lines.at(-1)).toBe('info: KMS connection changed');
    expect(evictions).toEqual(['kms all']);
    kms.refuse = () => 0x0c;
    expect(await code(connections.key('kms', kmsId, checkValue))).toBe('AccessDenied');
  });

  test('waits for the new connection while the old one serves', async () => {
    const { clock, kms, connections } = setUp();
    await connections.update([testSettings()]);
    await settle();
    kms.mode = 'hang';
    const update = connections.update([testSettings({ objectGroup: false })]);
    await settle();
    expect(connections.status()[0]?.endpoints[0]?.state).toBe('Up');
    await clock.advance(10_000);
    await update;
    expect(connections.status()[0]?.endpoints[0]?.state).toBe('Down');
    connections.close();
  });

  test('forgets the keys of a connection that was removed', async () => {
    const { evictions, lines, connections } = setUp();
    await connections.update([testSettings(), testSettings({ name: 'second' })]);
    await connections.update([testSettings()]);
    expect(connections.status().map(({ name }) => name)).toEqual(['kms']);
    expect(evictions).toEqual(['second all']);
    expect(lines.at(-1)).toBe('info: KMS connection removed');
  });

  test.each([
    ['no endpoint', testSettings({ name: 'second', endpoints: [] })],
    ['a bad certificate', testSettings({ name: 'second', tls: { cert: 'x', key: '', ca: '' } })],
  ])('with %s is refused whole', async (_what, unusable) => {
    const { lines, connections } = setUp();
    await connections.update([testSettings()]);
    const changed = testSettings({ cache: { ttlMs: 0, staleLimitMs: 0 } });
    expect(await code(connections.update([changed, unusable]))).toBe('Refused');
    expect(connections.status().map(({ name }) => name)).toEqual(['kms']);
    expect(lines).not.toContain('info: KMS connection changed');
  });
});

test('idle keys are forgotten a minute after they could serve last', async () => {
  const { clock, kms, evictions, connections } = setUp();
  await connections.update([testSettings({ cache: { ttlMs: 1000, staleLimitMs: 120_000 } })]);
  await connections.activateKey('kms', kms.addKey());
  await clock.advance(119_000);
  expect(connections.status()[0]?.cachedKeys).toBe(1);
  await clock.advance(61_000);
  expect(connections.status()[0]?.cachedKeys).toBe(0);
  expect(evictions).toEqual(['kms key-1']);
  connections.close();
  expect(clock.pending).toBe(0);
});

test('metrics tell requests, cache use, endpoints, certificates and alarms', async () => {
  const { kms, lines, connections } = setUp();
  await connections.update([testSettings()]);
  const kmsId = kms.addKey();
  const checkValue = await connections.activateKey('kms', kmsId);
  await connections.key('kms', kmsId, checkValue);
  connections.served('kms', 41);
  connections.served('removed', 1);
  await code(connections.key('kms', kmsId, '0000000000000000'));
  kms.key(kmsId).state = 4;
  connections.flush('kms');
  await connections.key('kms', kmsId, checkValue);
  const metrics = new Map((await connections.metrics()).map(({ name, values }) => [name, values]));
  const value = (name: string, labels: object) =>
    metrics
      .get(name)
      ?.find((one) => JSON.stringify(one.labels) === JSON.stringify({ connection: 'kms', ...labels }))?.value;
  expect(value('sealgate_kms_requests_total', { operation: 'Get', result: 'ok' })).toBe(3);
  expect(value('sealgate_kms_cache_requests_total', { result: 'hit' })).toBe(42);
  expect(value('sealgate_kms_cache_requests_total', { result: 'miss' })).toBe(2);
  expect(value('sealgate_kms_endpoint_up', { endpoint: 'kms.example.com:5696' })).toBe(1);
  expect(value('sealgate_kms_key_mismatches_total', {})).toBe(1);
  expect(value('sealgate_kms_compromised_keys', {})).toBe(1);
  expect(value('sealgate_kms_cached_keys', {})).toBe(1);
  expect(
    value('sealgate_kms_certificate_expiry_timestamp_seconds', {
      certificate: 'server',
      endpoint: 'kms.example.com:5696',
    }),
  ).toBe(2_000_000_000);
  expect(
    value('sealgate_kms_certificate_expiry_timestamp_seconds', { certificate: 'client' }),
  ).toBeGreaterThan(4e9);
  expect(lines.filter((line) => line.startsWith('error'))).toHaveLength(2);
});

test('an endpoint that is no longer configured leaves the metrics', async () => {
  const { connections } = setUp();
  await connections.update([testSettings()]);
  await settle();
  await connections.update([testSettings({ endpoints: [{ host: 'other.example.com', port: 5696 }] })]);
  const up = (await connections.metrics()).find(({ name }) => name === 'sealgate_kms_endpoint_up');
  expect(up?.values.map(({ labels }) => labels['endpoint'])).toEqual(['other.example.com:5696']);
});

test('certificates that end are told in the log', async () => {
  const clock = new FakeClock();
  const kms = new FakeKms(clock);
  const lines: string[] = [];
  const connections = new KmsConnections({
    clock,
    connector: () => kms.connect,
    log: (level, { certificate, endpoint }, message) =>
      lines.push(`${level} ${certificate} ${endpoint}: ${message}`),
    evict: () => {},
    // The fake server's certificate ends at 2,000,000,000 s.
    unixMs: () => 2_000_000_000_000 - 3 * 24 * 3_600_000,
  });
  await connections.update([testSettings()]);
  await settle();
  lines.length = 0;
  await clock.advance(180_000);
  expect(lines).toEqual([
    'warn server kms.example.com:5696: a certificate of the KMS connection expires soon: replace it',
  ]);
  connections.close();
});

test('a server without an operation that is needed is told in the log', async () => {
  const { kms, lines, connections } = setUp();
  kms.operations = [1];
  await connections.update([testSettings()]);
  await settle();
  expect(lines).toContain('warn: the KMS does not list operations that are needed');
});
