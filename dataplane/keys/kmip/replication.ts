/** Waits until a key that was made on one endpoint has reached the others: a bucket must not depend on one of them. */
import type { Clock } from '../clock.ts';
import { KmsError } from '../keys.ts';
import type { KmipEndpoint } from './endpoint.ts';
import type { Ask } from './endpointGroup.ts';
import { KmipError } from './errors.ts';
import type { FetchedKey } from './keyAnswers.ts';
import { judge } from './reasons.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 1000;

/**
 * Resolves when each of `endpoints` gives the same key in state Active; one that goes out of reach meanwhile is passed
 * over. Rejects with KmsError 'Unavailable' when the key is not there by the deadline (the caller may ask again later),
 * 'KeyMismatch' when one gives other bytes, and with KmipError for a refusal.
 */
export async function waitForReplication(
  endpoints: readonly KmipEndpoint[],
  fetch: Ask<FetchedKey>,
  made: FetchedKey,
  { clock, deadlineMs }: { readonly clock: Clock; readonly deadlineMs: number },
): Promise<void> {
  const arrival = async (endpoint: KmipEndpoint): Promise<void> => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        const { key, writable } = await fetch(endpoint, { deadlineMs, fresh: false });
        if (!key.equals(made.key)) {
          throw new KmsError('KeyMismatch', `${endpoint.address} gives other bytes for the new key`);
        }
        if (writable) return;
      } catch (error) {
        if (!(error instanceof KmipError)) throw error;
        const { confirm, retryable } = judge(error);
        if (!endpoint.usable) return;
        if (!confirm && !retryable) throw error;
      }
      if (clock.now() + pauseMs >= deadlineMs) {
        throw new KmsError('Unavailable', `the new key has not reached ${endpoint.address} yet`);
      }
      await new Promise<void>((resolve) => clock.schedule(pauseMs, resolve));
    }
  };
  await Promise.all(endpoints.map(arrival));
}
