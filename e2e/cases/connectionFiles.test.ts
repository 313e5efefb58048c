/** Connections in files of their own, and the admin port over TLS, in a running process. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Sealgate } from '../harness/sealgate.ts';
import { nextLine, Workplace } from '../harness/workplace.ts';

let place: Workplace;
let sealgate: Sealgate;
let generation = 0;

beforeAll(async () => {
  place = await Workplace.create();
  certify('first');
  await mkdir(join(place.folder, 'connections'));
  await mount({ 'team-a.ks.json': connection('team-a/ks', 'r1'), 'team-b.ks.json': '{' });
  await writeFile(join(place.folder, 'tokens'), `${'N'.repeat(40)}\n${'O'.repeat(40)}\n`, { mode: 0o600 });
  sealgate = await place.start({
    configPatch: (config) => {
      const tls = { certFile: 'tls.crt', keyFile: 'tls.key' };
      Object.assign(config, { revision: 'main-1', connectionsDir: 'connections' });
      Object.assign(config, { admin: { listen: '127.0.0.1:0', tokenFile: 'tokens', tls } });
    },
  });
});

afterAll(async () => {
  await place.remove();
});

function certify(name: string): void {
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
  const files = ['-keyout', join(place.folder, 'tls.key'), '-out', join(place.folder, 'tls.crt')];
  execFileSync('openssl', [...args, '-subj', `/CN=${name}`, ...files], { stdio: 'ignore' });
}

function connection(name: string, revision: string): string {
  const tls = { certFile: 'client.crt', keyFile: 'client.key', caFile: 'client.crt' };
  // Nobody listens there: a connection in force is not a connection that works.
  const kmip = { endpoints: [{ host: '127.0.0.1', port: 1 }], tls };
  return JSON.stringify({ name, revision, provider: 'KMIP', kmip });
}

/** Writes the folder as kubelet does: a new generation, then one rename. */
async function mount(files: Readonly<Record<string, string>>): Promise<void> {
  const folder = join(place.folder, 'connections');
  const next = `..${++generation}`;
  await mkdir(join(folder, next));
  await copyFile(join(place.folder, 'tls.crt'), join(folder, next, 'client.crt'));
  await copyFile(join(place.folder, 'tls.key'), join(folder, next, 'client.key'));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, next, name), text);
  await symlink(next, join(folder, '..data_tmp'));
  await rename(join(folder, '..data_tmp'), join(folder, '..data'));
  for (const name of [...Object.keys(files), 'client.crt', 'client.key']) {
    const link = join(folder, name);
    await symlink(join('..data', name), link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function status(
  token = 'N'.repeat(40),
  query = '',
): Promise<{ code: number; name: unknown; body: unknown }> {
  const headers = { authorization: `Bearer ${token}` };
  const url = `${sealgate.adminEndpoint}/admin/v1/status${query}`;
  const sent = request(url, { headers, agent: false, rejectUnauthorized: false });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const name = (answer.socket as TLSSocket).getPeerCertificate().subject.CN;
  return { code: answer.statusCode ?? 0, name, body: await json(answer) };
}

test('the admin port speaks TLS, takes every token of the file, and tells what is in force and what is refused', async () => {
  expect(sealgate.adminEndpoint).toMatch(/^https:/);
  expect((await status('O'.repeat(40))).code).toBe(200);
  expect((await status('X'.repeat(40))).code).toBe(401);
  const { name, body } = await status();
  expect(name).toBe('first');
  expect(body).toMatchObject({
    config: { revision: 'main-1', refused: null },
    kms: [{ name: 'team-a/ks', revision: 'r1' }],
    refusedConnections: [
      { file: 'team-b.ks.json', name: null, problems: [expect.stringMatching(/^line 1/)] },
    ],
  });
  expect(await sealgate.metric('sealgate_config_connections_refused')).toBe(1);
});

test('a new generation of the folder is in force within the second; what it breaks stays as it was', async () => {
  const startedMs = performance.now();
  const reloaded = nextLine(sealgate, 'configuration reloaded');
  await mount({ 'team-a.ks.json': '{}', 'team-b.ks.json': connection('team-b/ks', 'r2') });
  await reloaded;
  // Half a second is the interval of the look; the rest is for a loaded machine, still below the routine look.
  expect(performance.now() - startedMs).toBeLessThan(4_000);
  const { body } = await status();
  expect(body).toMatchObject({
    kms: [
      { name: 'team-a/ks', revision: 'r1' },
      { name: 'team-b/ks', revision: 'r2' },
    ],
    refusedConnections: [{ file: 'team-a.ks.json', name: 'team-a/ks' }],
  });
});

test('the status of one connection tells of no other', async () => {
  const told = async (connection: string): Promise<unknown> =>
    (await status('N'.repeat(40), `?connection=${encodeURIComponent(connection)}`)).body;
  expect(await told('team-b/ks')).toMatchObject({
    config: { revision: 'main-1' },
    kms: [{ name: 'team-b/ks', revision: 'r2', endpoints: [{ port: 1 }] }],
    refusedConnections: [],
  });
  expect(await told('team-a/ks')).toMatchObject({
    kms: [{ name: 'team-a/ks', revision: 'r1' }],
    refusedConnections: [{ file: 'team-a.ks.json', name: 'team-a/ks' }],
  });
  expect(await told('team-c/none')).toMatchObject({ kms: [], refusedConnections: [] });
  expect((await status('N'.repeat(40), '?connection=Not%20a%20name')).code).toBe(400);
});

test('a renewed certificate serves the admin port without a restart', async () => {
  const reloaded = nextLine(sealgate, 'configuration reloaded');
  certify('second');
  sealgate.signal('SIGHUP');
  await reloaded;
  expect((await status()).name).toBe('second');
});
