import { describe, expect, test } from 'vitest';
import { failure, setUpClient } from './client.testkit.ts';

describe('version negotiation', () => {
  test.each([
    ['the highest common version', ['1.4', '1.3', '1.2'], {}, '1.4'],
    ['the configured range', ['1.4', '1.3', '1.2', '1.1'], { min: '1.1', max: '1.2' }, '1.2'],
    ['a server that knows 1.1 at most', ['1.1', '1.0'], {}, '1.1'],
  ] as const)('finds %s', async (_what, versions, range, agreed) => {
    const { kms, client } = setUpClient({ protocol: { min: '1.0', max: '1.4', ...range } });
    kms.versions = [...versions];
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    expect(client.endpoints[0]?.protocolVersion).toBe(agreed);
    expect(kms.headers.at(-1)).toBe(agreed);
  });

  test('asks in a 1.2 header, then in a 1.1 header, then speaks the lowest configured version', async () => {
    const { kms, client } = setUpClient();
    kms.versions = ['1.0'];
    await client.fetchKey(kms.addKey());
    expect(kms.headers).toEqual(['1.2', '1.1', '1.0']);
  });

  test('no common version is Refused, not an outage', async () => {
    const { kms, client, events } = setUpClient({ protocol: { min: '1.4', max: '1.4' } });
    kms.versions = ['1.3', '1.2'];
    expect(await failure(client.fetchKey(kms.addKey()))).toMatchObject({ code: 'Refused' });
    expect(events).not.toContain('down');
  });

  test('a server that was downgraded is asked anew, once', async () => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    kms.versions = ['1.2', '1.1'];
    await client.fetchKey(kmsId);
    expect(client.endpoints[0]?.protocolVersion).toBe('1.2');
  });

  test('a server that calls every message invalid is not asked without end', async () => {
    const { kms, client } = setUpClient();
    const kmsId = kms.addKey();
    kms.refuse = (operation) => (operation === 'GetAttributes' ? 0x04 : null);
    expect(await failure(client.fetchKey(kmsId))).toMatchObject({ code: 'Refused' });
    expect(kms.count('GetAttributes')).toBe(1);
  });
});

describe('a server that does not answer', () => {
  test('is tried twice on connections of their own, within the total limit', async () => {
    const { clock, kms, client, events } = setUpClient();
    const kmsId = kms.addKey();
    await client.fetchKey(kmsId);
    const startedMs = clock.now();
    kms.mode = 'hang';
    expect((await failure(client.fetchKey(kmsId), clock)).code).toBe('Unavailable');
    expect(clock.now() - startedMs).toBeLessThanOrEqual(11_000);
    // The first, its successor, and the one that probed whether it is still there.
    expect(kms.connections).toBe(3);
    expect(events.filter((event) => event === 'down')).toHaveLength(1);
  });

  test('costs later requests nothing: they fail at once until a probe gets an answer', async () => {
    const { clock, kms, client, events } = setUpClient();
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
    const { clock, kms, client } = setUpClient();
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
    const { clock, kms, client } = setUpClient();
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
  const { kms, client } = setUpClient();
  const ids = Array.from({ length: 20 }, () => kms.addKey());
  const fetched = await Promise.all(ids.map(async (kmsId) => await client.fetchKey(kmsId)));
  expect(fetched.map(({ key }) => key.export()[0])).toEqual(ids.map((_, index) => index + 1));
  expect(kms.connections).toBeLessThanOrEqual(2);
});

test('a probe tells the vendor, and what the server lacks', async () => {
  const { kms, client, events } = setUpClient();
  kms.operations = [0x01, 0x0a, 0x0b, 0x12, 0x13, 0x14, 0x18, 0x1e];
  await client.probe();
  expect(client.endpoints[0]).toMatchObject({ state: 'Up', vendor: 'Fake KMS' });
  expect(events).toContain('lacking Locate');
});
