import { beforeEach, describe, expect, test } from 'vitest';
import { settle, TestClock } from '../clock.testkit.ts';
import type { ObjectKey } from '../kube/resource.ts';
import { KeyQueue } from './queue.ts';
import type { QueueMetrics } from './queueMetrics.ts';

const key = (name: string): ObjectKey => ({ namespace: 'n', name });

let clock: TestClock;
let queue: KeyQueue;
let depths: number[];
let waited: number[];

beforeEach(() => {
  clock = new TestClock();
  depths = [];
  waited = [];
  const metrics: QueueMetrics = {
    depth: (_queue, keys) => depths.push(keys),
    started: (_queue, seconds) => waited.push(seconds),
    finished: () => undefined,
    retried: () => undefined,
  };
  queue = new KeyQueue({ name: 'q', clock, random: () => 0, metrics });
});

/** What a worker would get now; undefined: nothing. */
async function taken(): Promise<string | undefined> {
  if (queue.depth === 0) return undefined;
  return (await queue.next())?.name;
}

describe('a queue', () => {
  test('gives keys in order, each once however often it was added', async () => {
    for (const name of ['a', 'b', 'a', 'c', 'b']) queue.add(key(name));
    expect([await taken(), await taken(), await taken(), await taken()]).toEqual(['a', 'b', 'c', undefined]);
    expect(depths).toContain(3);
  });

  test('gives a key to one worker at a time, and again when it was added meanwhile', async () => {
    queue.add(key('a'));
    expect(await taken()).toBe('a');
    queue.add(key('a'));
    queue.add(key('a'));
    expect(queue.depth).toBe(0);
    queue.done(key('a'));
    expect(await taken()).toBe('a');
    queue.done(key('a'));
    expect(queue.depth).toBe(0);
  });

  test('hands a key to a worker that waits already, and measures how long keys waited', async () => {
    const first = queue.next();
    const second = queue.next();
    queue.add(key('a'));
    await clock.advance(500);
    queue.add(key('b'));
    expect([(await first)?.name, (await second)?.name]).toEqual(['a', 'b']);
    queue.add(key('c'));
    await clock.advance(2_000);
    expect(await taken()).toBe('c');
    expect(waited).toEqual([0, 0, 2]);
  });

  test('gives a delayed key when its time has come; the shorter of two delays counts', async () => {
    queue.addAfter(key('a'), 60_000);
    queue.addAfter(key('a'), 10_000);
    queue.addAfter(key('a'), 90_000);
    await clock.advance(9_999);
    expect(queue.depth).toBe(0);
    await clock.advance(1);
    expect(await taken()).toBe('a');
    queue.done(key('a'));
    expect(clock.nextDelayMs).toBeUndefined();
  });

  test('an immediate add takes the place of a delayed one', async () => {
    queue.addAfter(key('a'), 60_000);
    queue.add(key('a'));
    expect(await taken()).toBe('a');
    expect(clock.nextDelayMs).toBeUndefined();
  });

  test('a delay of months is cut to a day, where a timer would overflow and run at once', () => {
    queue.addAfter(key('a'), 90 * 24 * 3_600_000);
    expect(clock.nextDelayMs).toBe(24 * 3_600_000);
  });

  test('retries wait 5 ms, doubled up to 5 minutes, and begin anew after a success', () => {
    const delays = Array.from({ length: 20 }, () => queue.retry(key('a')));
    expect(delays.slice(0, 4)).toEqual([5, 10, 20, 40]);
    expect(delays.slice(-2)).toEqual([300_000, 300_000]);
    expect(queue.failures(key('a'))).toBe(20);
    queue.forget(key('a'));
    expect(queue.retry(key('a'))).toBe(5);
    expect(queue.retry(key('b'), 7_000)).toBe(7_000);
  });

  test('a crowd of failing keys is held to ten tries a second after the first hundred', () => {
    const delays = Array.from({ length: 130 }, (_, n) => queue.retry(key(`k${n}`)));
    expect(Math.max(...delays.slice(0, 100))).toBe(5);
    expect(delays.slice(100, 103)).toEqual([100, 200, 300]);
    expect(delays.at(-1)).toBe(3_000);
  });

  test('after its end it takes and gives nothing, and its workers are let go', async () => {
    const worker = queue.next();
    queue.addAfter(key('a'), 1_000);
    queue.close();
    expect(await worker).toBeNull();
    queue.add(key('b'));
    queue.retry(key('c'));
    expect(await queue.next()).toBeNull();
    await settle();
    expect([queue.depth, clock.nextDelayMs]).toEqual([0, undefined]);
  });
});
