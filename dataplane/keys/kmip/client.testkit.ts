/** A KMIP client against a fake server, with a clock that obeys. */
import { FakeClock, settle } from '../fakeClock.testkit.ts';
import { FakeKms } from '../fakeKms.testkit.ts';
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
