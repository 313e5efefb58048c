import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger } from '../log.ts';
import { createAdminServer } from './adminServer.ts';
import { cryptoSupport, hasAesInstructions } from './cryptoSupport.ts';
import { Epochs } from './epochs.ts';
import type { Status } from './schema/status.ts';
import { unusedAccessKeys, unusedAdministration } from './unused.testkit.ts';

const STATUS: Status = {
  version: '1',
  installationId: 'i',
  incarnation: 'n',
  startedAt: 's',
  phase: 'ready',
  config: { hash: 'h', revision: null, loadedAt: 'l', refused: null },
  kms: [],
  refusedConnections: [],
  storage: { metadata: { engine: 'sqlite', freeBytes: 1 }, blobs: { engine: 'filesystem', freeBytes: 1 } },
  crypto: { openssl: '3', aesNi: true },
  workers: 2,
};

function admin(status: () => Promise<Status> = () => Promise.resolve(STATUS)) {
  const sink = new PassThrough({ encoding: 'utf8' });
  const log = createLogger({ level: 'info', thread: 'test', destination: sink });
  const state = { tokens: ['right-token'] };
  return {
    server: createAdminServer({
      tokens: () => state.tokens,
      status,
      keys: unusedAdministration,
      accessKeys: unusedAccessKeys,
      epochs: new Epochs(unusedAdministration),
      flush: () => Promise.resolve(),
      log,
    }),
    state,
    lines: () => String(sink.read() ?? ''),
  };
}

function withToken(url: string, token: string) {
  return { url, headers: { authorization: `Bearer ${token}` } };
}

test('with the token, status is told', async () => {
  const answer = await admin().server.inject(withToken('/admin/v1/status', 'right-token'));
  expect(answer.statusCode).toBe(200);
  expect(answer.json()).toEqual(STATUS);
});

test.each([
  undefined,
  '',
  'Bearer',
  'Bearer ',
  'Bearer wrong',
  'Bearer right-toke',
  'Basic right-token',
  'right-token',
])('authorization %j is refused, for known and unknown paths', async (authorization) => {
  const { server } = admin();
  const headers = authorization === undefined ? {} : { authorization };
  for (const url of ['/admin/v1/status', '/admin/v1/other', '/']) {
    const answer = await server.inject({ url, headers });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
    expect(answer.json()).toEqual({
      error: { code: 'Unauthorized', message: 'a valid bearer token is required' },
    });
  }
});

test('a reload changes the token', async () => {
  const { server, state } = admin();
  state.tokens = ['new-token'];
  expect((await server.inject(withToken('/admin/v1/status', 'right-token'))).statusCode).toBe(401);
  expect((await server.inject(withToken('/admin/v1/status', 'new-token'))).statusCode).toBe(200);
});

test.each(['GET', 'POST', 'DELETE'] as const)('%s of anything else is 404 in JSON', async (method) => {
  const answer = await admin().server.inject({ method, ...withToken('/admin/v1/nothing', 'right-token') });
  expect(answer.statusCode).toBe(404);
  expect(answer.json()).toEqual({ error: { code: 'NotFound', message: 'no such resource' } });
});

test('a body that is not JSON is 400 and tells nothing', async () => {
  const answer = await admin().server.inject({
    method: 'POST',
    url: '/admin/v1/status',
    headers: { authorization: 'Bearer right-token', 'content-type': 'application/json' },
    payload: '{',
  });
  expect(answer.statusCode).toBeGreaterThanOrEqual(400);
  expect(answer.statusCode).toBeLessThan(500);
  expect(answer.json()).toHaveProperty('error.code');
});

test('a failure is 500 without its reason, which the log has', async () => {
  const { server, lines } = admin(() => Promise.reject(new Error('inside')));
  const answer = await server.inject(withToken('/admin/v1/status', 'right-token'));
  expect(answer.statusCode).toBe(500);
  expect(answer.body).not.toContain('inside');
  expect(lines()).toMatch(/"route":"\/admin\/v1\/status".*"msg":"admin request failed"/);
});

test.each([
  ['processor : 0\nflags\t\t: fpu aes avx\n', true],
  ['flags : fpu vaesx\n', false],
  ['Features : fp asimd aes\n', true],
  ['something else', null],
])('AES instructions in %j: %s', (cpuinfo, expected) => {
  expect(hasAesInstructions(cpuinfo)).toBe(expected);
});

test('crypto support is told, and unknown where the system does not tell', async () => {
  expect((await cryptoSupport()).openssl).toBe(process.versions.openssl);
  expect(await cryptoSupport('/nonexistent')).toEqual({ openssl: process.versions.openssl, aesNi: null });
  await expect(cryptoSupport('/')).rejects.toThrow('EISDIR');
});
