/**
 * Keeps connections spread over the workers: with few of them the kernel's choice of listener (SO_REUSEPORT hashes
 * addresses) often leaves one worker with most of the load.
 */
import type { ConnectionBalance } from '../s3/services.ts';

/** One shared connection counter per worker. */
export function createBalanceCounters(workers: number): SharedArrayBuffer {
  return new SharedArrayBuffer(workers * Int32Array.BYTES_PER_ELEMENT);
}

/**
 * The view of worker `index`. It is overloaded above 1.5 times the mean number of connections and at least two above
 * the least loaded worker.
 */
export function joinBalance(counters: SharedArrayBuffer, index: number): ConnectionBalance {
  const connections = new Int32Array(counters);
  return {
    opened: () => {
      Atomics.add(connections, index, 1);
    },
    closed: () => {
      Atomics.sub(connections, index, 1);
    },
    overloaded: () => {
      const own = Atomics.load(connections, index);
      let sum = 0;
      let least = own;
      for (let i = 0; i < connections.length; i++) {
        const count = Atomics.load(connections, i);
        sum += count;
        least = Math.min(least, count);
      }
      return own > (1.5 * sum) / connections.length && own >= least + 2;
    },
  };
}
