/** A KMIP client against a fake server, with a clock that obeys. */
import { FakeClock, settle } from '../fakeClock.testkit.ts';
import { type FakeKey, FakeKms } from '../fakeKms.testkit.ts';
import { KmsError } from '../keys.ts';
import { testSettings } from '../settings.testkit.ts';
import type { KmsConnectionSettings } from '../settings.ts';
import { KmipClient } from './client.ts';

/** A client of a fake KMS; `events` tells what its observer was told. */
export function setUpClient(changes: Partial<KmsConnectionSettings> = {}) {
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

/**
 * A client of several fake servers, the first with host a, then b, c, ...; by default they keep the same keys. `events`
 * names the host first.
 */
export function setUpCluster(
  servers: number | readonly { readonly tier: number }[],
  changes: Partial<KmsConnectionSettings> & { readonly shared?: boolean } = {},
) {
  const { shared = true, ...settings } = changes;
  const clock = new FakeClock();
  const keys = new Map<string, FakeKey>();
  const tiers = typeof servers === 'number' ? Array.from({ length: servers }, () => ({ tier: 0 })) : servers;
  const kms = tiers.map(() => (shared ? new FakeKms(clock, keys) : new FakeKms(clock)));
  const events: string[] = [];
  const endpoints = tiers.map(({ tier }, index) => ({ host: 'abcdefgh'.charAt(index), port: 5696, tier }));
  const client = new KmipClient(testSettings({ endpoints, ...settings }), {
    clock,
    connector: ({ host }) => at('abcdefgh'.indexOf(host)).connect,
    observer: {
      requested: ({ host }, operation, result) => events.push(`${host} ${operation} ${result}`),
      changed: ({ host }, up) => events.push(`${host} ${up ? 'up' : 'down'}`),
      lacking: () => {},
    },
  });
  function at(index: number): FakeKms {
    const found = kms[index];
    if (found === undefined) throw new Error(`no server ${index}`);
    return found;
  }
  /** What the servers were asked, as 'a Get', 'b Create', ... since the last call; the talk about versions left out. */
  const asked = () =>
    events
      .splice(0)
      .map((event) => event.split(' ').slice(0, 2).join(' '))
      .filter((event) => !/ (DiscoverVersions|Query|up|down)$/.test(event));
  return { clock, kms, at, client, events, asked, states: () => client.endpoints.map(({ state }) => state) };
}

/** Lets time pass until the work is settled, and gives the KmsError that it failed with. */
export async function failure(work: Promise<unknown>, clock?: FakeClock): Promise<KmsError> {
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
