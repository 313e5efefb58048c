import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServerTls } from '../config/settings.ts';
import { createListener } from './listener.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-listener-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function certify(name: string): ServerTls {
  const [keyFile, certFile] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '2',
  ];
  execFileSync('openssl', [...args, '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', certFile], {
    stdio: 'ignore',
  });
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

async function connected(port: number): Promise<TLSSocket> {
  const socket = connectTls({
    port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends a request and reads until the answer's body is there. */
async function ask(socket: TLSSocket): Promise<string> {
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  let text = '';
  for (;;) {
    const [piece] = (await once(socket, 'data')) as [Buffer];
    text += piece.toString();
    if (text.endsWith('hello')) return text;
  }
}

test('over TLS the HTTP server answers, knows its connections, and takes a new certificate for new ones', async () => {
  const server = createServer((_request, response) => response.end('hello'));
  const listener = createListener(server, certify('first'));
  const port = await listener.listen({ host: '127.0.0.1', port: 0 }, false);
  const socket = await connected(port);
  expect(socket.alpnProtocol).toBe('http/1.1');
  expect(await ask(socket)).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(socket.getPeerCertificate().subject.CN).toBe('first');

  listener.setTls(certify('second'));
  const later = await connected(port);
  expect(later.getPeerCertificate().subject.CN).toBe('second');
  expect(await ask(socket)).toMatch(/^HTTP\/1\.1 200 OK/);

  listener.close();
  listener.close();
  const closed = once(socket, 'close');
  server.closeIdleConnections();
  await closed;
  later.destroy();
});

test('a client that speaks no TLS is cut off and disturbs nobody', async () => {
  const server = createServer((_request, response) => response.end('hello'));
  const listener = createListener(server, certify('plain'));
  const port = await listener.listen({ host: '127.0.0.1', port: 0 }, false);
  const stranger = connect(port, '127.0.0.1');
  stranger.on('error', () => stranger.destroy());
  stranger.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(stranger, 'close');
  const socket = await connected(port);
  expect(await ask(socket)).toMatch(/^HTTP\/1\.1 200 OK/);
  socket.destroy();
  listener.close();
});

test('without TLS it is the HTTP server that listens; a taken port is an error', async () => {
  const listener = createListener(createServer(), null);
  const port = await listener.listen({ host: '127.0.0.1', port: 0 }, false);
  const second = createListener(createServer(), null);
  await expect(second.listen({ host: '127.0.0.1', port }, false)).rejects.toMatchObject({
    code: 'EADDRINUSE',
  });
  second.close();
  listener.close();
});
