/** The real TLS connection against a server on the loopback that splits, merges, cuts and withholds its answers. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../clock.ts';
import { TEST_CERTIFICATE } from '../settings.testkit.ts';
import type { KmsEndpoint } from '../settings.ts';
import { type KmipConnection, tlsConnector } from './connection.ts';
import { KmipError } from './errors.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'sealgate-tls-'));
const certFile = path.join(folder, 'both.crt');
const keyFile = path.join(folder, 'both.key');
const LONG_MS = 10_000;
const SHORT_MS = 150;

/** One self-signed certificate is authority, server and client: which one is asked for is tested with PyKMIP. */
beforeAll(() => {
  execFileSync(
    'openssl',
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=both'
      .split(' ')
      .concat(
        '-addext',
        'subjectAltName=IP:127.0.0.1,DNS:kms.example.com',
        '-keyout',
        keyFile,
        '-out',
        certFile,
      ),
    { stdio: 'ignore' },
  );
});
const servers: Server[] = [];
const opened: { destroy(): void }[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const connection of opened.splice(0)) connection.destroy();
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

const tls = () => {
  const [cert, key] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')];
  return { cert, key, ca: cert };
};

/** A server that demands a client certificate and does with each socket what the test says. */
async function serve(behave: (socket: TLSSocket) => void): Promise<KmsEndpoint> {
  const server = createServer({ ...tls(), requestCert: true, rejectUnauthorized: true }, (socket) => {
    opened.push(socket);
    socket.on('error', () => socket.destroy());
    behave(socket);
  });
  return await listen(server);
}

async function listen(server: Server): Promise<KmsEndpoint> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { host: '127.0.0.1', port: address.port };
}

async function open(endpoint: KmsEndpoint, timeoutMs = LONG_MS): Promise<KmipConnection> {
  const connection = await tlsConnector(endpoint, tls(), systemClock)(timeoutMs);
  opened.push(connection);
  return connection;
}

function answer(text: string): Buffer {
  const body = Buffer.from(text);
  const frame = Buffer.alloc(8 + body.length);
  frame.writeUInt32BE(0x42007b01, 0);
  frame.writeUInt32BE(body.length, 4);
  body.copy(frame, 8);
  return frame;
}

async function failure(work: Promise<unknown>): Promise<KmipError> {
  const error: unknown = await work.then(
    () => new Error('expected a KmipError'),
    (reason: unknown) => reason,
  );
  if (error instanceof KmipError) return error;
  throw error;
}

describe('answers', () => {
  test.each([1, 3, 7, 8, 9, 1000])(
    'in pieces of %i bytes are put together, and the request is erased',
    async (size) => {
      const endpoint = await serve((socket) => {
        socket.setNoDelay(true);
        socket.on('data', () => {
          const frame = answer('split into pieces');
          for (let at = 0; at < frame.length; at += size) socket.write(frame.subarray(at, at + size));
        });
      });
      const connection = await open(endpoint);
      for (let turn = 0; turn < 3; turn += 1) {
        const request = Buffer.from('a request');
        expect((await connection.exchange(request, LONG_MS)).subarray(8).toString()).toBe(
          'split into pieces',
        );
        expect(request).toEqual(Buffer.alloc(9));
      }
      expect(connection.usable).toBe(true);
    },
  );

  test.each([
    ['two for one request', Buffer.concat([answer('one'), answer('two')]), 'Malformed'],
    ['one and a half for one request', Buffer.concat([answer('one'), Buffer.from([0x42])]), 'Malformed'],
    ['another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n'), 'Malformed'],
  ] as const)('%s end the connection', async (_what, bytes, code) => {
    const endpoint = await serve((socket) => socket.on('data', () => socket.write(bytes)));
    const connection = await open(endpoint);
    expect(await failure(connection.exchange(Buffer.from('a request'), LONG_MS))).toMatchObject({
      code,
      sent: true,
    });
    expect(connection.usable).toBe(false);
  });

  test('that nobody asked for end the connection', async () => {
    const endpoint = await serve((socket) => socket.write(answer('good morning')));
    const connection = await open(endpoint);
    await expect.poll(() => connection.usable).toBe(false);
    expect(await failure(connection.exchange(Buffer.from('a request'), LONG_MS))).toMatchObject({
      sent: false,
    });
  });

  test('that are late never meet the next request', async () => {
    const sockets: TLSSocket[] = [];
    const endpoint = await serve((socket) => socket.once('data', () => sockets.push(socket)));
    const connection = await open(endpoint);
    expect(await failure(connection.exchange(Buffer.from('first'), SHORT_MS))).toMatchObject({
      code: 'Timeout',
      sent: true,
    });
    sockets[0]?.write(answer('late'));
    expect(await failure(connection.exchange(Buffer.from('second'), SHORT_MS))).toMatchObject({
      code: 'Connection',
      sent: false,
    });
  });

  test('that are cut off are told as a lost connection', async () => {
    const endpoint = await serve((socket) =>
      socket.on('data', () => socket.end(answer('cut').subarray(0, 9))),
    );
    const connection = await open(endpoint);
    expect(await failure(connection.exchange(Buffer.from('a request'), LONG_MS))).toMatchObject({
      code: 'Connection',
      sent: true,
    });
  });
});

test('one request at a time', async () => {
  const endpoint = await serve((socket) => socket.on('data', () => socket.write(answer('first'))));
  const connection = await open(endpoint);
  const first = connection.exchange(Buffer.from('first'), LONG_MS);
  const second = Buffer.from('second');
  expect(await failure(connection.exchange(second, LONG_MS))).toMatchObject({
    code: 'Connection',
    sent: false,
  });
  expect(second).toEqual(Buffer.alloc(6));
  expect((await first).subarray(8).toString()).toBe('first');
});

test('giving a connection up fails the request under way', async () => {
  const connection = await open(await serve(() => {}));
  const lost = failure(connection.exchange(Buffer.from('a request'), LONG_MS));
  connection.destroy();
  expect(await lost).toMatchObject({ code: 'Connection' });
});

test('a server that ends an idle connection makes it unusable', async () => {
  const connection = await open(await serve((socket) => socket.end()));
  await expect.poll(() => connection.usable).toBe(false);
});

test("the end of the server's certificate is known", async () => {
  const connection = await open(await serve(() => {}));
  expect(connection.serverCertificateExpiresMs).toBeGreaterThan(Date.now());
});

describe('connecting', () => {
  test('is given up when the TLS handshake does not come', async () => {
    const endpoint = await listen(createTcpServer((socket) => opened.push(socket)));
    expect(await failure(open(endpoint, SHORT_MS))).toMatchObject({ code: 'Timeout', sent: false });
  });

  test('to something that hangs up fails', async () => {
    const endpoint = await listen(createTcpServer((socket) => socket.end()));
    expect(await failure(open(endpoint))).toMatchObject({ code: 'Connection', sent: false });
  });

  test('to a closed port fails', async () => {
    const endpoint = await serve(() => {});
    await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
    expect(await failure(open(endpoint))).toMatchObject({ code: 'Connection', sent: false });
  });

  test.each([
    ['kms.example.com', 'accepted'],
    ['other.example.com', 'Connection'],
  ])('as %s is %s by the certificate', async (serverName, expected) => {
    const endpoint = { ...(await serve(() => {})), serverName };
    const outcome = await open(endpoint).then(
      () => 'accepted',
      (error: unknown) => (error instanceof KmipError ? error.code : error),
    );
    expect(outcome).toBe(expected);
  });

  test('to a server of another authority fails, whatever the environment says', async () => {
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
    const endpoint = await serve(() => {});
    const connect = tlsConnector(endpoint, { ...tls(), ca: TEST_CERTIFICATE }, systemClock);
    expect(await failure(connect(LONG_MS))).toMatchObject({ code: 'Connection', sent: false });
  });

  test.each(['', 'no certificate'])(
    'with %j as authority is refused: public authorities must not count',
    (ca) => {
      const connector = () => tlsConnector({ host: '127.0.0.1', port: 1 }, { ...tls(), ca }, systemClock);
      expect(connector).toThrow(KmipError);
    },
  );
});
