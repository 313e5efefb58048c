import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { type KeyLogger, startKeyHolder } from './holder.ts';
import { testSettings } from './settings.testkit.ts';
import { connectKeyProvider } from './workerKeys.ts';

const silent: KeyLogger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

test('the thread starts without any connection, answers, and ends when it is closed', async () => {
  const holder = await startKeyHolder({ connections: [], logger: silent });
  expect(await holder.status()).toEqual([]);
  expect((await holder.metrics()).map(({ name }) => name)).toContain('sealgate_kms_requests_total');
  await expect(connectKeyProvider(holder.connect()).createKey('kms', 'a')).rejects.toMatchObject({
    code: 'UnknownConnection',
  });
  await expect(holder.flush('kms')).rejects.toMatchObject({ code: 'UnknownConnection' });
  await holder.updateConnections([]);
  await holder.close();
  await holder.close();
  await expect(holder.status()).rejects.toMatchObject({ code: 'Unavailable' });
});

test('settings that cannot be used are refused at the start', async () => {
  const connections = [testSettings({ tls: { cert: '', key: '', ca: '' } })];
  await expect(startKeyHolder({ connections, logger: silent })).rejects.toMatchObject({ code: 'Refused' });
});

test('the death of the thread is told, and fails what was asked of it', async () => {
  const threads: Worker[] = [];
  const holder = await startKeyHolder({ connections: [], logger: silent }, () => {
    const thread = new Worker(new URL('./holderThread.ts', import.meta.url));
    threads.push(thread);
    return thread;
  });
  const keys = connectKeyProvider(holder.connect());
  await threads[0]?.terminate();
  expect((await holder.onDeath).message).toMatch(/exit code/);
  await expect(holder.metrics()).rejects.toMatchObject({ code: 'Unavailable' });
  await expect(keys.createKey('kms', 'a')).rejects.toMatchObject({ code: 'Unavailable' });
});
