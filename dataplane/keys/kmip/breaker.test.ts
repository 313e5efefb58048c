import { expect, test } from 'vitest';
import { FakeClock } from '../fakeClock.testkit.ts';
import { Breaker } from './breaker.ts';

/** An endpoint whose probes are answered at once. */
function answering(clock: FakeClock): Breaker {
  const breaker = new Breaker(
    clock,
    () => {
      breaker.answered();
      return Promise.resolve();
    },
    () => undefined,
  );
  breaker.answered();
  return breaker;
}

test('a kept connection that broke puts nothing on probation, not even soon after a fall', async () => {
  const clock = new FakeClock();
  const breaker = answering(clock);
  breaker.doubted('no answer within 5000 ms', true);
  await clock.advance(0);
  expect(breaker.steady).toBe(false);
  await clock.advance(5_000);
  expect(breaker.steady).toBe(true);

  breaker.doubted('the connection was closed', false);
  expect(breaker.steady).toBe(false);
  await clock.advance(0);
  expect(breaker.steady).toBe(true);
});

test('silence does so each time, and for longer', async () => {
  const clock = new FakeClock();
  const breaker = answering(clock);
  for (const probationMs of [5_000, 10_000, 20_000]) {
    breaker.doubted('no answer within 5000 ms', true);
    await clock.advance(0);
    await clock.advance(probationMs - 1);
    expect(breaker.steady).toBe(false);
    await clock.advance(1);
    expect(breaker.steady).toBe(true);
  }
});
