import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAdminServer } from '../admin/adminServer.ts';
import { Epochs } from '../admin/epochs.ts';
import { AdminError } from '../admin/errors.ts';
import type { KeyAdministration, ReencryptReport } from '../admin/keyAdministration.ts';
import { unusedAccessKeys, unusedAdministration } from '../admin/unused.testkit.ts';
import { createLogger } from '../log.ts';
import { portOf } from '../process/listener.ts';
import { runCli } from './cli.ts';
import { reencryptCommandAt } from './reencrypt.ts';

const unused = () => Promise.reject(new Error('not asked for here'));
const begun: ReencryptReport = {
  bucket: 'docs',
  state: 'Running',
  olderThan: 2,
  requestedAt: '2026-11-25T00:00:00.000Z',
  finishedAt: null,
  done: { versions: 0, bytes: 0 },
  remaining: { versions: 4, uploads: 1 },
  damaged: 0,
  message: null,
};
/** What the server says, one answer after the other. */
let reports: ReencryptReport[] = [];
const administration: KeyAdministration = {
  ...unusedAdministration,
  reencrypt: (name) =>
    name === 'docs'
      ? Promise.resolve(begun)
      : Promise.reject(new AdminError('NothingOlder', 'rotate the key first')),
  reencryption: () => Promise.resolve(reports.shift() ?? begun),
};

let server: FastifyInstance;
let folder: string;
let config: string;
beforeAll(async () => {
  server = createAdminServer({
    accessKeys: unusedAccessKeys,
    tokens: () => ['ab'.repeat(32)],
    status: unused,
    keys: administration,
    epochs: new Epochs(administration),
    flush: unused,
    log: createLogger({ level: 'info', thread: 'test', destination: new PassThrough() }),
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  folder = mkdtempSync(join(tmpdir(), 'sealgate-reencrypt-cli-'));
  const secret = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return name;
  };
  const root = { accessKeyId: 'ROOT', secretAccessKey: 'x'.repeat(16) };
  config = join(folder, 'sealgate.json');
  const document = {
    apiVersion: 'config.sealgate.io/v1',
    kind: 'DataPlane',
    installation: { id: 'ab'.repeat(16), region: 'r', keyFile: secret('i.key', 'ab'.repeat(32)) },
    s3: { listen: '127.0.0.1:0' },
    admin: {
      listen: `127.0.0.1:${portOf(server.server)}`,
      tokenFile: secret('t', 'ab'.repeat(32)),
    },
    monitoring: { listen: '127.0.0.1:0' },
    metadata: { engine: 'sqlite', path: 'm.db' },
    blobs: { engine: 'filesystem', path: 'blobs' },
    rootCredentials: { file: secret('root.json', JSON.stringify(root)) },
  };
  writeFileSync(config, JSON.stringify(document));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

async function run(...args: readonly string[]) {
  let stdout = '';
  let stderr = '';
  let nowMs = 0;
  const command = reencryptCommandAt({
    nowMs: () => nowMs,
    wait: (waitMs) => {
      nowMs += waitMs;
      return Promise.resolve();
    },
  });
  const code = await runCli([command], ['reencrypt', ...args], {
    stdout: (text) => void (stdout += text),
    stderr: (text) => void (stderr += text),
    isTerminal: true,
  });
  return { code, stdout, stderr };
}

const told = 'docs: 4 object versions and 1 open uploads are older than key version 2\n';

test('says what is to be done, and leaves it to the server', async () => {
  expect(await run('--config', config, 'docs')).toEqual({ code: 0, stdout: told, stderr: '' });
});

test('waits for the end with its progress, and tells once why the server waits', async () => {
  const half = { done: { versions: 2, bytes: 9 }, remaining: { versions: 2, uploads: 1 } };
  const waiting = { ...begun, ...half, state: 'Waiting', message: '1 open uploads' } as const;
  reports = [begun, { ...begun, ...half }, waiting, waiting, { ...begun, state: 'Finished' }];
  const { code, stdout, stderr } = await run('--config', config, 'docs', '--wait');
  expect(code).toBe(0);
  expect(stdout).toBe(`${told}docs: no data key is older than the bucket's key any more\n`);
  expect(stderr).toContain('50 %  2 of 4 written anew, 1/s');
  expect(stderr.split('waiting: 1 open uploads\n')).toHaveLength(2);
});

test('says what the server says', async () => {
  const { code, stderr } = await run('--config', config, 'other');
  expect(code).toBe(3);
  expect(stderr).toContain('sealgate: NothingOlder: rotate the key first');
});

test.each([
  [['docs'], '--config FILE is missing'],
  [['--config', 'f'], 'an argument is missing'],
])('%j is wrong usage', async (args, message) => {
  const { code, stderr } = await run(...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});
