import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { podSays } from '../fleet/fleetScene.testkit.ts';
import { AdminClient, type AdminRequest } from './adminClient.ts';
import { testCertificate } from './certificate.testkit.ts';

const OWNER = 'team-a/invoices';

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const { key, cert } = testCertificate('admin.sealgate.internal');

const servers: Server[] = [];
const clients: AdminClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map(async (client) => await client.close()));
  await Promise.all(
    servers.splice(0).map(
      async (server) =>
        await new Promise<void>((resolve) => {
          server.closeAllConnections();
          server.close(() => resolve());
        }),
    ),
  );
});

/** A server with the fixed name in its certificate, and a client for it. */
async function setUp(
  answer: (response: ServerResponse, seen: Seen) => void,
  { epoch = 7, serverName }: { readonly epoch?: number | null; readonly serverName?: string } = {},
) {
  const seen: Seen[] = [];
  const server = createServer({ key, cert }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, url, headers } = request;
      const one = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') };
      seen.push(one);
      answer(response, one);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const told: AdminRequest[] = [];
  const client = new AdminClient(
    { host: '127.0.0.1', port, caBundle: cert, ...(serverName === undefined ? {} : { serverName }) },
    {
      token: () => 'the-token',
      epoch: () => epoch,
      deposed: () => undefined,
      observe: (one) => told.push(one),
    },
  );
  clients.push(client);
  return { client, seen, told };
}

const json =
  (status: number, body: unknown) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

const USE = { connection: 'team-a/ks', configured: true, keyVersions: 2, buckets: 1 };

test('a read carries the token and no epoch; a name with a slash stays one part of the path', async () => {
  const { client, seen } = await setUp(json(200, USE));
  expect(await client.connectionUse('team-a/ks')).toEqual(USE);
  expect(seen[0]).toMatchObject({ method: 'GET', url: '/admin/v1/kms/team-a%2Fks' });
  expect(seen[0]?.headers.authorization).toBe('Bearer the-token');
  expect(seen[0]?.headers).not.toHaveProperty('sealgate-epoch');
});

test('the status can be that of one connection', async () => {
  const { client, seen } = await setUp(json(200, podSays('r1', null)));
  expect((await client.statusOf('team-a/ks')).config.revision).toBe('r1');
  expect(seen[0]).toMatchObject({ method: 'GET', url: '/admin/v1/status?connection=team-a%2Fks' });
});

test.each([
  [
    'a PUT',
    async (client: AdminClient) => await client.putAccessKey('A'.repeat(20), { owner: OWNER, grants: [] }),
  ],
  [
    'a DELETE',
    async (client: AdminClient) => await client.deleteBucket('b', { mode: 'purge', owner: OWNER }),
  ],
  ['a POST', async (client: AdminClient) => await client.rotateBucket('b', 'r')],
])('%s carries the epoch', async (_what, call) => {
  const { client, seen } = await setUp(json(404, { error: { code: 'NoSuchBucket', message: 'none' } }));
  await call(client).catch(() => undefined);
  expect(seen[0]?.headers['sealgate-epoch']).toBe('7');
});

test.each([
  [204, undefined, 'Gone'],
  [202, {}, 'BeingPurged'],
  [404, { error: { code: 'NoSuchBucket', message: 'none' } }, 'Gone'],
])('deleting that is answered with %s is %s', async (status, body, expected) => {
  const { client, seen } = await setUp((response) => {
    response.writeHead(status).end(body === undefined ? undefined : JSON.stringify(body));
  });
  expect(await client.deleteBucket('a.b', { mode: 'ifEmpty', owner: OWNER })).toBe(expected);
  expect(seen[0]?.url).toBe('/admin/v1/buckets/a.b?mode=ifEmpty&owner=team-a%2Finvoices');
});

test('a bucket and an access key that are not there are no errors', async () => {
  const { client } = await setUp((response, { url }) =>
    json(404, {
      error: {
        code: url?.includes('buckets') === true ? 'NoSuchBucket' : 'NoSuchAccessKey',
        message: 'none',
      },
    })(response),
  );
  expect(await client.bucket('b')).toBeNull();
  await client.deleteAccessKey('A'.repeat(20));
});

test('all pages of the access keys of an owner are read', async () => {
  const key = (id: string) => ({
    accessKeyId: id.repeat(20),
    owner: OWNER,
    grants: [],
    createdAt: '2030-01-01T00:00:00.000Z',
    expiresAt: null,
  });
  const { client, seen } = await setUp((response, { url }) => {
    const second = url?.includes('after=A') ?? false;
    const page = second
      ? { accessKeys: [key('B')], next: null }
      : { accessKeys: [key('A')], next: 'A'.repeat(20) };
    json(200, page)(response);
  });
  expect((await client.accessKeys(OWNER)).map(({ accessKeyId }) => accessKeyId[0])).toEqual(['A', 'B']);
  expect(seen).toHaveLength(2);
});

test.each([
  [
    json(409, { error: { code: 'BucketNameTaken', message: 'is declared by team-b/x' } }),
    'BucketNameTaken',
    409,
  ],
  [json(500, 'no error body'), 'Malformed', 500],
  [json(200, { nothing: true }), 'Malformed', 200],
  [(response: ServerResponse) => response.end('no JSON'), 'Malformed', 200],
  [(response: ServerResponse) => response.destroy(), 'Unreachable', 0],
])('an answer of kind %# is told as %s', async (answer, code, status) => {
  const { client } = await setUp(answer);
  await expect(client.connectionUse('team-a/ks')).rejects.toMatchObject({ code, status });
});

test('a server under another name, or with a certificate of nobody known, is not spoken to', async () => {
  const wrongName = await setUp(json(200, USE), { serverName: 'other.sealgate.internal' });
  await expect(wrongName.client.connectionUse('team-a/ks')).rejects.toMatchObject({ code: 'Unreachable' });
  expect(wrongName.seen).toEqual([]);
});

test('a call ends with its signal, and none of its errors holds the token or a secret key', async () => {
  const abort = new AbortController();
  const { client } = await setUp(() => abort.abort());
  const key = { owner: OWNER, secretAccessKey: 'very-secret-access-key', grants: [] };
  const error: unknown = await client
    .putAccessKey('A'.repeat(20), key, abort.signal)
    .catch((e: unknown) => e);
  expect(error).toMatchObject({ code: 'Unreachable' });
  expect(String(error)).not.toMatch(/the-token|very-secret/);
});

test('a leader takes its epoch', async () => {
  const { client, seen } = await setUp(json(200, { epoch: 8 }), { epoch: null });
  expect(await client.takeEpoch('me')).toBe(8);
  expect(seen[0]).toMatchObject({ method: 'POST', url: '/admin/v1/epoch', body: '{"holder":"me"}' });
});

test('each request is told by its method and kind alone, also one that is not answered', async () => {
  const { client, told } = await setUp((response, { url }) => {
    if (url?.includes('kms') === true) response.destroy();
    else json(404, { error: { code: 'NoSuchBucket', message: 'none' } })(response);
  });
  await client.deleteBucket('secret-name', { mode: 'ifEmpty', owner: OWNER });
  await client.connectionUse('team-a/ks').catch(() => undefined);
  expect(told).toEqual([
    { method: 'DELETE', resource: 'buckets', code: '404' },
    { method: 'GET', resource: 'kms', code: 'none' },
  ]);
});
