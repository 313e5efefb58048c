import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import type { ServerTls } from '../config/settings.ts';
import { portOf } from '../process/listener.ts';
import { AdminPortError, adminPort } from './adminPort.ts';

let folder = '';
let server: Server;
let asked: (string | undefined)[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-admin-port-'));
  asked = [];
  server = createServer(certify('own'), (request, response) => {
    asked.push(request.headers.authorization);
    response.end('{"ok":true}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

function certify(name: string): ServerTls {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
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
  execFileSync('openssl', [...args, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
}

function settings(tls: ServerTls) {
  const tokens = ['newest', 'older'];
  return { admin: { listen: { host: '127.0.0.1', port: portOf(server) }, tokens, tls } };
}

test('a command trusts the certificate of its configuration, under any name, and sends the newest token', async () => {
  const own = { key: '', cert: readFileSync(join(folder, 'own.crt'), 'utf8') };
  const ask = adminPort(settings(own));
  expect(await ask(z.object({ ok: z.boolean() }), 'GET', 'status')).toEqual({ ok: true });
  expect(asked).toEqual(['Bearer newest']);
});

test('another certificate is not trusted, and the token is not sent', async () => {
  const ask = adminPort(settings(certify('other')));
  await expect(ask(z.unknown(), 'GET', 'status')).rejects.toThrow(AdminPortError);
  expect(asked).toEqual([]);
});
