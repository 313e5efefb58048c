import { describe, expect, test } from 'vitest';
import { settle } from '../fakeClock.testkit.ts';
import { failure, setUpCluster } from './client.testkit.ts';
import { STATE } from './tags.ts';

const NAME = 'sealgate-bucket-v1-0123456789abcdef';
const gets = (asked: readonly string[]) =>
  asked.filter((one) => one.endsWith(' Get')).map((one) => one.charAt(0));

describe('reads', () => {
  test('are balanced inside the lowest tier; a higher one stands by', async () => {
    const { client, at, asked } = setUpCluster([{ tier: 0 }, { tier: 1 }, { tier: 0 }]);
    const kmsId = at(0).addKey();
    for (let count = 0; count < 6; count += 1) await client.fetchKey(kmsId);
    expect(gets(asked()).sort()).toEqual(['a', 'a', 'a', 'c', 'c', 'c']);
  });

  test('go to the next tier while the former is down, and come back after a while', async () => {
    const { client, clock, at, asked } = setUpCluster([{ tier: 0 }, { tier: 1 }]);
    const kmsId = at(0).addKey();
    at(0).mode = 'refuse';
    for (let count = 0; count < 3; count += 1) await client.fetchKey(kmsId);
    expect(gets(asked())).toEqual(['b', 'b', 'b']);
    await clock.advance(0);
    expect(client.endpoints[0]?.state).toBe('Down');
    at(0).mode = 'up';
    await clock.advance(5000);
    expect(client.endpoints[0]?.state).toBe('Up');
    await client.fetchKey(kmsId);
    await clock.advance(5000);
    await client.fetchKey(kmsId);
    expect(gets(asked())).toEqual(['b', 'a']);
  });

  test('fail over at once when an endpoint refuses connections, and do not ask it again', async () => {
    const { client, clock, at } = setUpCluster(2);
    const kmsId = at(0).addKey();
    at(0).mode = 'refuse';
    await client.fetchKey(kmsId);
    await clock.advance(0);
    for (let count = 0; count < 9; count += 1) await client.fetchKey(kmsId);
    // The request's, and that of the probe which took the endpoint out.
    expect(at(0).attempts).toBe(2);
    expect(at(1).count('Get')).toBe(10);
  });

  test.each(['hang', 'nonsense'] as const)('survive an endpoint that answers with %s', async (mode) => {
    const { client, clock, at } = setUpCluster(2);
    const kmsId = at(0).addKey();
    await Promise.all([client.fetchKey(kmsId), client.fetchKey(kmsId)]);
    at(0).mode = mode;
    const all = Promise.all(Array.from({ length: 10 }, async () => await client.fetchKey(kmsId)));
    await clock.advance(10_000);
    expect(await all).toHaveLength(10);
    expect(client.endpoints[0]?.state).toBe('Down');
  });

  test('survive one failed connection to each endpoint at the same time: both are still there', async () => {
    const { client, clock, kms, at, events } = setUpCluster(2);
    const kmsId = at(0).addKey();
    for (const one of kms) one.refusals = 1;
    expect(await client.fetchKey(kmsId)).toMatchObject({ writable: true });
    await clock.advance(0);
    expect(events.filter((event) => event.endsWith('down'))).toEqual([]);
  });

  test('that wait for a connection move on when the endpoint goes down, without trying it each', async () => {
    const { client, at, events } = setUpCluster(2);
    const kmsId = at(0).addKey();
    await Promise.all(Array.from({ length: 4 }, async () => await client.fetchKey(kmsId)));
    const { attempts } = at(0);
    at(0).mode = 'refuse';
    await Promise.all(Array.from({ length: 40 }, async () => await client.fetchKey(kmsId)));
    expect(at(0).attempts - attempts).toBeLessThanOrEqual(4);
    expect(events.filter((event) => event === 'a down')).toHaveLength(1);
  });

  test('that a silent endpoint holds up end inside the total limit', async () => {
    const { client, clock, at } = setUpCluster(2);
    const kmsId = at(0).addKey();
    await Promise.all(Array.from({ length: 4 }, async () => await client.fetchKey(kmsId)));
    const startedMs = clock.now();
    at(0).mode = 'hang';
    const all = Array.from({ length: 20 }, async () => {
      await client.fetchKey(kmsId);
      return clock.now() - startedMs;
    });
    await clock.advance(20_000);
    expect(Math.max(...(await Promise.all(all)))).toBeLessThanOrEqual(10_000);
  });

  test('reach the one endpoint that lives, among five that hang', async () => {
    const { client, clock, at } = setUpCluster(6);
    const kmsId = at(0).addKey();
    for (let index = 0; index < 5; index += 1) at(index).mode = 'hang';
    const outcomes: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      const fetched = client.fetchKey(kmsId).then(
        () => outcomes.push('served'),
        () => outcomes.push('failed'),
      );
      await clock.advance(10_000);
      await fetched;
    }
    expect(outcomes.at(-1)).toBe('served');
  });

  test.each([0x2a, 0x3a, 0x100])('go on after a server failure (reason %i)', async (reason) => {
    const { client, at } = setUpCluster(2);
    const kmsId = at(0).addKey();
    at(0).refuse = () => reason;
    for (let count = 0; count < 4; count += 1) await client.fetchKey(kmsId);
    expect(at(1).count('Get')).toBe(4);
  });

  test('believe a refusal at its word', async () => {
    const { client, at, kms } = setUpCluster(2);
    const kmsId = at(0).addKey();
    for (const one of kms) one.refuse = (operation) => (operation === 'GetAttributes' ? 0x0c : null);
    expect((await failure(client.fetchKey(kmsId))).code).toBe('AccessDenied');
    expect(kms.flatMap(({ log }) => log.filter((entry) => entry === 'GetAttributes'))).toHaveLength(1);
  });

  test('fail at once, and tell why, when every endpoint is down', async () => {
    const { client, kms } = setUpCluster(2);
    for (const one of kms) one.mode = 'refuse';
    await client.probe();
    await settle();
    const attempts = kms.map((one) => one.attempts);
    const error = await failure(client.fetchKey('k'));
    expect(error).toMatchObject({ code: 'Unavailable', maybeDone: false });
    expect(error.message).toContain('a:5696 (refused), b:5696 (refused)');
    expect(kms.map((one) => one.attempts)).toEqual(attempts);
  });
});

describe('a key that is missing', () => {
  test('on one endpoint is served by the other: replication is behind', async () => {
    const { client, at } = setUpCluster(2, { shared: false });
    const kmsId = at(0).addKey();
    for (let count = 0; count < 4; count += 1) {
      expect(await client.fetchKey(kmsId)).toMatchObject({ writable: true });
    }
    expect(at(1).count('GetAttributes')).toBeGreaterThan(0);
  });

  test('on both is NotFound', async () => {
    const { client, kms } = setUpCluster(2);
    expect((await failure(client.fetchKey('gone'))).code).toBe('NotFound');
    expect(kms.map((one) => one.count('GetAttributes'))).toEqual([1, 1]);
  });

  test('is an outage while no second endpoint can be asked', async () => {
    const { client, clock, at } = setUpCluster(2);
    at(1).mode = 'refuse';
    expect((await failure(client.fetchKey('gone'))).code).toBe('Unavailable');
    at(1).mode = 'up';
    await clock.advance(10_000);
    expect((await failure(client.fetchKey('gone'))).code).toBe('NotFound');
  });

  test('and Pre-Active on another endpoint is neither gone nor wrong yet', async () => {
    const { client, at } = setUpCluster(2, { shared: false });
    const kmsId = at(0).addKey({ state: STATE.preActive });
    expect((await failure(client.fetchKey(kmsId))).code).toBe('Unavailable');
    at(1).addKey();
    expect(await client.fetchKey(kmsId)).toMatchObject({ writable: true });
  });

  test('is Destroyed at the word of one endpoint: that is no lag', async () => {
    const { client, at } = setUpCluster(2);
    expect((await failure(client.fetchKey(at(0).addKey({ state: STATE.destroyed })))).code).toBe('NotFound');
  });
});

describe('changes', () => {
  test('all go to the first endpoint, whatever is asked of the others', async () => {
    const { client, asked } = setUpCluster(3);
    for (let count = 0; count < 3; count += 1)
      await client.activateKey(await client.createKey(`${NAME}${count}`));
    const changed = asked().filter((one) => /Create|Activate/.test(one));
    expect(changed).toEqual(Array.from({ length: 3 }, () => ['a Create', 'a Activate']).flat());
  });

  test('go elsewhere when they certainly never left, and stay there', async () => {
    const { client, at, asked } = setUpCluster(2);
    at(0).mode = 'refuse';
    const kmsId = await client.createKey(NAME);
    at(0).mode = 'up';
    await client.activateKey(kmsId);
    expect(asked().filter((one) => /Create|Activate/.test(one))).toEqual(['b Create', 'b Activate']);
  });

  test('a Create whose answer was lost is repeated nowhere', async () => {
    const { client, clock, at, kms } = setUpCluster(2);
    await client.probe();
    at(0).mode = 'lose';
    expect(await failure(client.createKey(NAME), clock)).toMatchObject({
      code: 'Unavailable',
      maybeDone: true,
    });
    expect(kms.map((one) => one.count('Create'))).toEqual([1, 0]);
  });

  test('a failed agreement on the version leaves no doubt that nothing was made', async () => {
    const { client, clock, at, kms } = setUpCluster(1);
    at(0).mode = 'hang';
    expect(await failure(client.createKey(NAME), clock)).toMatchObject({ maybeDone: false });
    expect(kms[0]?.count('Create')).toBe(0);
  });
});

describe('looking for the key of an unfinished Create', () => {
  test('finds it on whichever endpoint has it', async () => {
    const { client, at } = setUpCluster(2, { shared: false });
    const kmsId = at(1).addKey({ name: NAME, state: STATE.preActive });
    expect(await client.locateKey(NAME, 0)).toEqual({ kmsId });
  });

  test('finds none only when every endpoint says so: the silent one may have it', async () => {
    const { client, clock, at } = setUpCluster(2);
    at(1).mode = 'refuse';
    expect((await failure(client.locateKey(NAME, 0))).code).toBe('Unavailable');
    at(1).mode = 'up';
    await clock.advance(10_000);
    expect(await client.locateKey(NAME, 0)).toBeNull();
  });
});

describe('a new key', () => {
  test('is ready when every endpoint that is up gives it', async () => {
    const { client, clock, at } = setUpCluster(3, { shared: false });
    at(2).mode = 'refuse';
    const kmsId = await client.createKey(NAME);
    const progress = { ready: false };
    const ready = client.activateKey(kmsId).then(() => {
      progress.ready = true;
    });
    await clock.advance(2000);
    expect(progress.ready).toBe(false);
    at(1).keys.set(kmsId, { ...at(0).key(kmsId), state: STATE.preActive });
    await clock.advance(2000);
    expect(progress.ready).toBe(false);
    at(1).key(kmsId).state = STATE.active;
    await clock.advance(2000);
    await ready;
    expect(progress.ready).toBe(true);
  });

  test('that does not arrive in time is Unavailable, and can be asked for again', async () => {
    const { client, clock, at } = setUpCluster(2, { shared: false });
    const kmsId = await client.createKey(NAME);
    const error = await failure(client.activateKey(kmsId), clock);
    expect(error).toMatchObject({ code: 'Unavailable', message: 'the new key has not reached b:5696 yet' });
    at(1).keys.set(kmsId, at(0).key(kmsId));
    expect(await client.activateKey(kmsId)).toMatchObject({ writable: true });
    expect(at(0).count('Activate')).toBe(1);
  });

  test('of which another endpoint gives other bytes is a KeyMismatch', async () => {
    const { client, at } = setUpCluster(2, { shared: false });
    const kmsId = await client.createKey(NAME);
    at(1).keys.set(kmsId, { ...at(0).key(kmsId), state: STATE.active, material: Buffer.alloc(32, 77) });
    expect((await failure(client.activateKey(kmsId))).code).toBe('KeyMismatch');
  });
});

describe('an endpoint that flaps', () => {
  test('is trusted later with every fall, so that requests seldom meet it', async () => {
    const { client, clock, at } = setUpCluster(2);
    const kmsId = at(0).addKey();
    // It answers every probe, and hangs whenever a key is asked for.
    at(0).hangOn = 'Get';
    let slow = 0;
    for (let second = 0; second < 600; second += 1) {
      const startedMs = clock.now();
      let tookMs = 0;
      const fetched = client.fetchKey(kmsId).then(() => {
        tookMs = clock.now() - startedMs;
      });
      await clock.advance(1000);
      if (tookMs === 0 && clock.now() - startedMs === 1000) {
        const progress = { served: false };
        const done = fetched.then(() => {
          progress.served = true;
        });
        await settle();
        while (!progress.served) await clock.advance(1000);
        await done;
        if (tookMs >= 1000) slow += 1;
      }
    }
    expect(slow).toBeGreaterThan(0);
    expect(slow).toBeLessThan(12);
  });
});

describe('closing', () => {
  test('lets an operation of several requests finish', async () => {
    const { client, clock, at } = setUpCluster(1);
    const kmsId = await client.createKey(NAME);
    const activated = client.activateKey(kmsId);
    client.close();
    expect(await activated).toMatchObject({ writable: true });
    expect(at(0).key(kmsId).state).toBe(STATE.active);
    await settle();
    expect(clock.pending).toBe(0);
  });
});

test('an endpoint that nobody asks is probed, so that its outage is known before it is needed', async () => {
  const { client, clock, at, states } = setUpCluster([{ tier: 0 }, { tier: 1 }]);
  await client.probe();
  await settle();
  expect(states()).toEqual(['Up', 'Up']);
  at(1).mode = 'refuse';
  await clock.advance(60_000);
  expect(states()).toEqual(['Up', 'Down']);
  at(1).mode = 'up';
  await clock.advance(6000);
  expect(states()).toEqual(['Up', 'Up']);
  client.close();
  expect(clock.pending).toBe(0);
});
