import { Counter, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createHealthServer } from './health.ts';

test('livez is always ok, readyz tells why not, metrics are those of the registry, and there is nothing else', async () => {
  const registry = new Registry();
  new Counter({ name: 'n_total', help: 'h', registers: [registry] }).inc();
  let unready: string[] = ['FleetInvalid: spec.replicas'];
  const server = createHealthServer({ unready: () => unready, registry });
  const get = async (url: string): Promise<[number, string]> => {
    const { statusCode, body } = await server.inject(url);
    return [statusCode, body];
  };
  expect(await get('/livez')).toEqual([200, 'ok\n']);
  expect(await get('/readyz')).toEqual([503, 'FleetInvalid: spec.replicas\n']);
  unready = [];
  expect(await get('/readyz')).toEqual([200, 'ready\n']);
  expect((await get('/metrics'))[1]).toContain('n_total 1');
  expect(await get('/')).toEqual([404, 'not found\n']);
  await server.close();
});
