import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { beforeEach, describe, expect, test } from 'vitest';
import { AdminApiError } from './admin/adminApi.ts';
import { FakeDataPlane } from './admin/fakeDataPlane.testkit.ts';
import { settle, TestClock } from './clock.testkit.ts';
import { LedFleet } from './epoch.ts';

let clock: TestClock;
let dataPlane: FakeDataPlane;
let lines: PassThrough;
let led: LedFleet;
let end: AbortController;

beforeEach(() => {
  clock = new TestClock();
  dataPlane = new FakeDataPlane();
  lines = new PassThrough({ encoding: 'utf8' });
  led = new LedFleet({
    fleet: { everyPod: () => [], anyPod: () => dataPlane },
    holder: 'me',
    clock,
    random: () => 0,
    log: pino(lines),
  });
  end = new AbortController();
});

const failWith = (error: AdminApiError): void => {
  dataPlane.around = () => Promise.reject(error);
};
const recover = (): void => {
  dataPlane.around = async (_call, act) => await Promise.resolve().then(act);
};

describe('the epoch of a leader', () => {
  test('opens the fleet when it is taken, and not before', async () => {
    failWith(new AdminApiError('Unreachable', 0, 'away'));
    const taking = led.take(end.signal);
    await clock.advance(60_000);
    expect(led.anyPod()).toBeNull();
    recover();
    await clock.advance(2_000);
    expect(await taking).toBe(1);
    expect(led.anyPod()).toBe(dataPlane);
  });

  test('is asked for again while the data plane does not take our token, which the fleet brings to it', async () => {
    failWith(new AdminApiError('Unauthorized', 401, 'a valid bearer token is required'));
    const taking = led.take(end.signal);
    taking.catch(() => undefined);
    await clock.advance(60_000);
    expect(led.anyPod()).toBeNull();
    expect(dataPlane.calls.length).toBeGreaterThan(20);
    expect(String(lines.read()).match(/"level":40/g)).toHaveLength(1);
    recover();
    await clock.advance(2_000);
    expect(await taking).toBe(1);
  });

  test('is not asked for again after another refusal', async () => {
    failWith(new AdminApiError('StaleEpoch', 409, 'not the newest'));
    await expect(led.take(end.signal)).rejects.toMatchObject({ code: 'StaleEpoch' });
    await settle();
    expect(clock.nextDelayMs).toBeUndefined();
  });
});
