import { Counter, Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { parseOptions } from '../options.ts';
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

test('as a pod starts it, it answers over IPv6 and over IPv4', async () => {
  const { healthListen } = parseOptions([], { POD_NAMESPACE: 'sealgate' });
  const server = createHealthServer({ unready: () => [], registry: new Registry() });
  const { port } = new URL(await server.listen({ ...healthListen, port: 0 }));
  for (const host of ['[::1]', '127.0.0.1']) {
    const answer = await fetch(`http://${host}:${port}/livez`);
    expect(await answer.text()).toBe('ok\n');
  }
  await server.close();
});
