import { beforeEach, describe, expect, test } from 'vitest';
import { settle, TestClock } from '../clock.testkit.ts';
import { silentLog } from './fakeCluster.testkit.ts';
import { KubeError } from './kubeApi.ts';
import { LEASE_TIMES, LeaderElection, type TermEnd } from './lease.ts';
import { LEASES } from './leaseRecord.ts';
import { MemoryApi } from './memoryApi.testkit.ts';

const KEY = { namespace: 'ns', name: 'sealgate' };

let clock: TestClock;
let api: MemoryApi;

beforeEach(() => {
  clock = new TestClock();
  api = new MemoryApi();
});

interface Candidate {
  readonly leads: () => boolean;
  readonly everLed: () => boolean;
  readonly ended: () => TermEnd | undefined;
  readonly stop: () => void;
  readonly finishWork: () => void;
  readonly election: LeaderElection;
}

function candidate(
  identity: string,
  from: Pick<MemoryApi, 'get' | 'create' | 'mergePatch'> = api,
): Candidate {
  const end = new AbortController();
  let term: AbortSignal | undefined;
  let ended: TermEnd | undefined;
  const work = Promise.withResolvers<void>();
  const election = new LeaderElection({
    api: from,
    namespace: 'ns',
    name: 'sealgate',
    identity,
    clock,
    random: () => 0,
    log: silentLog,
    onStarted: (signal) => {
      term = signal;
      signal.addEventListener('abort', () => {
        if (identity !== 'slow') work.resolve();
      });
      return work.promise;
    },
  });
  void election.run(end.signal).then((result) => {
    ended = result;
  });
  return {
    leads: () => term !== undefined && !term.aborted,
    everLed: () => term !== undefined,
    ended: () => ended,
    stop: () => end.abort(),
    finishWork: work.resolve,
    election,
  };
}

async function spec(): Promise<Record<string, unknown>> {
  return (await api.get(LEASES, KEY))?.['spec'] as Record<string, unknown>;
}

const away = (): Promise<never> => Promise.reject(new KubeError('Unavailable', 'away'));
const hangs = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise((_resolve, reject) =>
    signal?.addEventListener('abort', () => reject(new KubeError('Unavailable', 'cancelled'))),
  );

describe('an election', () => {
  test('takes a lease that nobody has, and renews it every 2 s', async () => {
    const a = candidate('a');
    await settle();
    expect(a.leads()).toBe(true);
    const first = await spec();
    expect(first).toMatchObject({ holderIdentity: 'a', leaseDurationSeconds: 15, leaseTransitions: 0 });
    await clock.advance(60_000);
    const later = await spec();
    expect(later['acquireTime']).toBe(first['acquireTime']);
    expect(Date.parse(String(later['renewTime'])) - Date.parse(String(first['renewTime']))).toBe(60_000);
    expect(api.calls.filter(({ verb }) => verb === 'patch')).toHaveLength(30);
    expect(a.leads()).toBe(true);
  });

  test('waits the whole duration after the last change that it saw, whatever the timestamps say', async () => {
    await api.create(LEASES, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: 'ns', name: 'sealgate' },
      spec: {
        holderIdentity: 'other',
        leaseDurationSeconds: 15,
        renewTime: '1999-01-01T00:00:00.000000Z',
        leaseTransitions: 4,
      },
    });
    const a = candidate('a');
    await clock.advance(10_000);
    await api.mergePatch(LEASES, KEY, { spec: { renewTime: '1999-01-01T00:00:01.000000Z' } });
    await clock.advance(14_000);
    expect(a.everLed()).toBe(false);
    await clock.advance(4_000);
    expect(a.leads()).toBe(true);
    expect(await spec()).toMatchObject({ holderIdentity: 'a', leaseTransitions: 5 });
  });

  test('of two candidates one leads, also when both write at once', async () => {
    const both = [candidate('a'), candidate('b')];
    await clock.advance(60_000);
    expect(both.filter((one) => one.leads())).toHaveLength(1);
  });

  test('a leader that cannot renew stops at its deadline, before another may lead', async () => {
    let cut = false;
    const behindACut = {
      get: (...args: Parameters<MemoryApi['get']>) => (cut ? away() : api.get(...args)),
      create: (...args: Parameters<MemoryApi['create']>) => (cut ? away() : api.create(...args)),
      mergePatch: (...args: Parameters<MemoryApi['mergePatch']>) => (cut ? away() : api.mergePatch(...args)),
    };
    const a = candidate('a', behindACut);
    await settle();
    cut = true;
    const b = candidate('b');
    await clock.advance(9_999);
    expect([a.leads(), b.leads()]).toEqual([true, false]);
    await clock.advance(1);
    expect([a.leads(), a.election.isLeader, a.ended()]).toEqual([false, false, 'lost']);
    await clock.advance(4_000);
    expect(b.leads()).toBe(false);
    await clock.advance(4_000);
    expect(b.leads()).toBe(true);
  });

  test('a renewal that is never answered does not keep a leader in office', async () => {
    const a = candidate('a');
    await settle();
    api.before = (_call, signal) => hangs(signal);
    await clock.advance(9_999);
    expect(a.leads()).toBe(true);
    await clock.advance(1);
    expect([a.leads(), a.ended()]).toEqual([false, 'lost']);
  });

  test('short outages are survived', async () => {
    const a = candidate('a');
    await settle();
    api.before = away;
    await clock.advance(7_000);
    api.before = () => Promise.resolve();
    await clock.advance(20_000);
    expect(a.leads()).toBe(true);
  });

  test('a renewal that was performed but not answered is no loss', async () => {
    let unanswered = true;
    const a = candidate('a', {
      get: (...args) => api.get(...args),
      create: (...args) => api.create(...args),
      mergePatch: async (...args) => {
        const written = await api.mergePatch(...args);
        if (!unanswered) return written;
        unanswered = false;
        return await away();
      },
    });
    await clock.advance(30_000);
    expect([unanswered, a.leads()]).toEqual([false, true]);
  });

  test('a leader that sees the lease in another hand stops at once', async () => {
    const a = candidate('a');
    await settle();
    await api.mergePatch(LEASES, KEY, { spec: { holderIdentity: 'thief' } });
    await clock.advance(2_000);
    expect([a.leads(), a.ended()]).toEqual([false, 'lost']);
    expect(await spec()).toMatchObject({ holderIdentity: 'thief' });
  });

  test('a leader that ends when it has just seen the lease in another hand leaves it there', async () => {
    const slow = candidate('slow');
    await settle();
    await api.mergePatch(LEASES, KEY, { spec: { holderIdentity: 'thief' } });
    const held = Promise.withResolvers<void>();
    // The renewal is under way, and its answer comes only when the work has ended.
    api.before = ({ verb }) => (verb === 'patch' ? held.promise : Promise.resolve());
    await clock.advance(2_000);
    slow.stop();
    slow.finishWork();
    await settle();
    held.resolve();
    await settle();
    expect(slow.ended()).toBe('stopped');
    expect(await spec()).toMatchObject({ holderIdentity: 'thief' });
  });

  test('a change of the lease by others that leaves its holder is no loss', async () => {
    const a = candidate('a');
    await settle();
    await api.mergePatch(LEASES, KEY, { metadata: { labels: { touched: 'yes' } } });
    await clock.advance(30_000);
    expect(a.leads()).toBe(true);
  });

  test('a lease that somebody deleted is made anew', async () => {
    const a = candidate('a');
    await settle();
    await api.delete(LEASES, KEY);
    await clock.advance(30_000);
    expect(a.leads()).toBe(true);
    expect(await spec()).toMatchObject({ holderIdentity: 'a' });
  });

  test('a stopped leader gives the lease back after its work has ended, and the next one leads within a retry', async () => {
    const slow = candidate('slow');
    await settle();
    const b = candidate('b');
    await clock.advance(5_000);
    slow.stop();
    await clock.advance(30_000);
    expect(await spec()).toMatchObject({ holderIdentity: 'slow' });
    expect([slow.leads(), b.leads()]).toEqual([false, false]);
    slow.finishWork();
    await settle();
    expect(await spec()).toMatchObject({ holderIdentity: '' });
    expect(slow.ended()).toBe('stopped');
    await clock.advance(2_000);
    expect(b.leads()).toBe(true);
  });

  test('a candidate that is stopped while it waits never leads', async () => {
    candidate('a');
    await settle();
    const b = candidate('b');
    await clock.advance(5_000);
    b.stop();
    await settle();
    expect([b.everLed(), b.ended()]).toEqual([false, 'stopped']);
  });

  test('times with which two could lead are refused', () => {
    const options = { api, namespace: 'n', name: 'l', identity: 'a', clock, random: () => 0, log: silentLog };
    const onStarted = (): Promise<void> => Promise.resolve();
    const times = { ...LEASE_TIMES, durationMs: 10_000 };
    expect(() => new LeaderElection({ ...options, onStarted, times })).toThrow(RangeError);
    const hasty = { ...LEASE_TIMES, retryMs: 9_000 };
    expect(() => new LeaderElection({ ...options, onStarted, times: hasty })).toThrow(RangeError);
  });
});
