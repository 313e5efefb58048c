import { expect, test } from 'vitest';
import { Epochs } from './epochs.ts';

/** A store in memory; what is taken is durable when it answers. */
function store(epoch = 0) {
  const state = { epoch };
  return {
    state,
    epoch: () => Promise.resolve(state.epoch),
    takeEpoch: () => {
      state.epoch += 1;
      return Promise.resolve(state.epoch);
    },
  };
}

/** A mutation that takes effect when it is told to. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const effects: string[] = [];
  const work = async () => {
    await promise;
    effects.push('done');
  };
  return { work, release: resolve, effects };
}

test('the newest epoch is served, an older one is stale, and without one a person is served', async () => {
  const epochs = new Epochs(store());
  expect(await epochs.take('a')).toBe(1);
  expect(await epochs.mutate(1, () => Promise.resolve('served'))).toBe('served');
  expect(await epochs.take('b')).toBe(2);
  await expect(epochs.mutate(1, () => Promise.resolve('served'))).rejects.toMatchObject({
    code: 'StaleEpoch',
    status: 412,
  });
  expect(await epochs.mutate(null, () => Promise.resolve('served'))).toBe('served');
});

test('the newest epoch of an earlier process counts, and one that was never taken here does not', async () => {
  const epochs = new Epochs(store(7));
  await expect(epochs.mutate(6, () => Promise.resolve())).rejects.toMatchObject({ code: 'StaleEpoch' });
  await expect(epochs.mutate(8, () => Promise.resolve())).rejects.toMatchObject({ code: 'StaleEpoch' });
  expect(await epochs.mutate(7, () => Promise.resolve('served'))).toBe('served');
});

test('a new epoch is told only after the mutations of the old one have ended, well or not', async () => {
  const epochs = new Epochs(store());
  await epochs.take('a');
  const mutation = held();
  const failing = Promise.withResolvers<void>();
  const running = epochs.mutate(1, mutation.work);
  const failed = epochs.mutate(1, () => failing.promise);
  const seen: string[] = [];
  const taking = epochs.take('b').then((epoch) => seen.push(`epoch ${epoch}`, ...mutation.effects));
  // Refused from here on, although the new leader has not been answered.
  await Promise.resolve();
  await expect(epochs.mutate(1, () => Promise.resolve())).rejects.toMatchObject({ code: 'StaleEpoch' });
  expect(seen).toEqual([]);
  failing.reject(new Error('refused'));
  await expect(failed).rejects.toThrow('refused');
  expect(seen).toEqual([]);
  mutation.release();
  await Promise.all([running, taking]);
  expect(seen).toEqual(['epoch 2', 'done']);
});

test('a mutation that a new epoch overtakes while the store is read is stale', async () => {
  const backing = store();
  const { promise, resolve } = Promise.withResolvers<number>();
  const epochs = new Epochs({ ...backing, epoch: () => promise });
  const effects: string[] = [];
  const mutating = epochs.mutate(1, () => Promise.resolve(effects.push('done')));
  await epochs.take('a');
  await epochs.take('b');
  resolve(1);
  await expect(mutating).rejects.toMatchObject({ code: 'StaleEpoch' });
  expect(effects).toEqual([]);
});

test('a mutation that does not end makes a new leader ask again, and is waited for again', async () => {
  const epochs = new Epochs(store(), 1);
  await epochs.take('a');
  const mutation = held();
  const running = epochs.mutate(1, mutation.work);
  await expect(epochs.take('b')).rejects.toMatchObject({ code: 'Busy', status: 503 });
  await expect(epochs.mutate(2, () => Promise.resolve('served'))).resolves.toBe('served');
  mutation.release();
  await running;
  expect(await epochs.take('b')).toBe(3);
});

test('a hundred mutations and ten leaders: nothing of an older epoch takes effect after a newer one was told', async () => {
  const epochs = new Epochs(store());
  let told = 0;
  const violations: string[] = [];
  let served = 0;
  const mutate = async (epoch: number, turns: number) => {
    try {
      await epochs.mutate(epoch, async () => {
        for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        served += 1;
        if (epoch < told) violations.push(`${epoch} after ${told}`);
      });
    } catch (error) {
      expect(error).toMatchObject({ code: 'StaleEpoch' });
    }
  };
  const leaders = Array.from({ length: 10 }, async (_, leader) => {
    for (let turn = 0; turn < leader * 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const epoch = await epochs.take(`leader ${leader}`);
    told = Math.max(told, epoch);
    await Promise.all(Array.from({ length: 10 }, (_unused, i) => mutate(epoch, (i * 7) % 11)));
  });
  await Promise.all(leaders);
  expect(violations).toEqual([]);
  expect(served).toBeGreaterThan(10);
});
