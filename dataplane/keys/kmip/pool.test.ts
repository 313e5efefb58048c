import { expect, test } from 'vitest';
import { FakeClock, settle } from '../fakeClock.testkit.ts';
import type { KmipConnection } from './connection.ts';
import { KmipError } from './errors.ts';
import { ConnectionPool } from './pool.ts';

/** A pool whose exchanges end when the test says so. */
function setUp() {
  const clock = new FakeClock();
  const underWay: ((outcome: Buffer | KmipError) => void)[] = [];
  const made: { usable: boolean; destroyed: boolean }[] = [];
  const pool = new ConnectionPool(
    async () => {
      const state = { usable: true, destroyed: false };
      made.push(state);
      const connection: KmipConnection = {
        get usable() {
          return state.usable;
        },
        serverCertificateExpiresMs: null,
        destroy: () => {
          state.usable = false;
          state.destroyed = true;
        },
        exchange: async () =>
          await new Promise((resolve, reject) => {
            underWay.push((outcome) => {
              if (outcome instanceof Buffer) resolve(outcome);
              else reject(outcome);
            });
          }),
      };
      return await Promise.resolve(connection);
    },
    clock,
    3000,
  );
  const exchange = async (fresh = false) =>
    await pool.exchange(
      Buffer.from('request'),
      { requestMs: 5000, deadlineMs: clock.now() + 10_000, fresh },
      () => {},
    );
  const finish = async (outcome: Buffer | KmipError = Buffer.from('answer')) => {
    underWay.shift()?.(outcome);
    await settle();
  };
  return { clock, pool, made, underWay, exchange, finish };
}

test('two requests at most are under way, also when new ones come as others end', async () => {
  const { underWay, made, exchange, finish } = setUp();
  const all = Array.from({ length: 5 }, async () => await exchange());
  await settle();
  for (let turn = 0; turn < 20; turn += 1) {
    expect(underWay).toHaveLength(2);
    const ended = finish();
    all.push(exchange(), exchange());
    await ended;
  }
  while (underWay.length > 0) await finish();
  expect((await Promise.all(all)).every((answer) => answer.toString() === 'answer')).toBe(true);
  expect(made).toHaveLength(2);
});

test('a request that waits too long for a connection is Busy, and was not sent', async () => {
  const { clock, exchange, finish } = setUp();
  const first = [exchange(), exchange()];
  const late = exchange();
  const outcome = late.then(
    () => null,
    (error: unknown) => error,
  );
  await clock.advance(10_000);
  expect(await outcome).toMatchObject({ code: 'Busy', sent: false });
  await finish();
  await finish();
  await Promise.all(first);
});

test('what waits for a connection is given up when the endpoint is down; what has one goes on', async () => {
  const { clock, pool, exchange, finish } = setUp();
  const first = [exchange(), exchange()];
  await settle();
  const waiting = exchange();
  pool.giveUp('it is down');
  await expect(waiting).rejects.toMatchObject({ code: 'Connection', sent: false, message: 'it is down' });
  await finish();
  await finish();
  expect(await Promise.all(first)).toHaveLength(2);
  expect(clock.pending).toBe(0);
});

test('a connection that failed, or that the server closed, is not used again', async () => {
  const { made, exchange, finish } = setUp();
  const failed = exchange();
  await settle();
  const [first] = made;
  if (first !== undefined) first.usable = false;
  await Promise.all([
    expect(failed).rejects.toThrow('lost'),
    finish(new KmipError('Connection', 'lost', { sent: true })),
  ]);
  const second = exchange();
  await settle();
  await finish();
  await second;
  expect(made).toHaveLength(2);
  const [, kept] = made;
  if (kept !== undefined) kept.usable = false;
  const third = exchange();
  await settle();
  await finish();
  await third;
  expect(made).toHaveLength(3);
});

test('closing lets requests under way finish and takes no new ones; destroying does not wait', async () => {
  const { made, pool, exchange, finish } = setUp();
  const underWay = exchange();
  await settle();
  pool.close();
  await expect(exchange()).rejects.toMatchObject({ sent: false });
  expect(made[0]?.destroyed).toBe(false);
  await finish();
  await underWay;
  expect(made[0]?.destroyed).toBe(true);
});
