import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { EXAMPLE } from '../config/example.ts';
import { runCli } from './cli.ts';
import { type Command, UsageError } from './command.ts';
import { configCheck } from './configCheck.ts';
import { configExample } from './configExample.ts';
import { version } from './version.ts';

const failing: Command = {
  name: 'fail',
  synopsis: 'WHAT',
  summary: 'always fails',
  run: (args) => Promise.reject(args[0] === 'usage' ? new UsageError('bad use') : new Error('bug')),
};
const COMMANDS = [configExample, configCheck, version, failing];

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const output = {
    stdout: (text: string) => {
      stdout += text;
    },
    stderr: (text: string) => {
      stderr += text;
    },
  };
  const code = await runCli(COMMANDS, args, output);
  return { code, stdout, stderr };
}

test.each([[['help']], [['--help']], [['config', 'check', '-h']]])('%j shows every command', async (args) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(
    /^usage:\n {2}sealgate config example {4,}print .*\n {2}sealgate config check FILE {3,}check/,
  );
});

test.each([
  [[], 'a command is missing'],
  [['nonsense'], "unknown command 'nonsense'"],
  [['config', 'nonsense', 'x'], "unknown command 'config nonsense'"],
  [['config'], "unknown command 'config'"],
  [['version', 'x'], "unexpected argument 'x'"],
  [['version', '--wrong'], "Unknown option '--wrong'"],
  [['config', 'check'], 'an argument is missing'],
  [['fail', 'usage'], 'bad use'],
])('%j is wrong usage: code 2 and the usage on standard error', async (args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(`sealgate: ${message}`);
  expect(stderr).toContain('usage:\n  sealgate ');
});

test('what is not wrong usage is not taken for it', async () => {
  await expect(run('fail', 'now')).rejects.toThrow('bug');
});

test('version names Sealgate, Node.js and OpenSSL', async () => {
  const { code, stdout } = await run('version');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^sealgate \d+\.\d+\.\d+ \(node 2\d\.\S+, openssl 3\.\S+\)\n$/);
});

test('config example prints the example', async () => {
  expect(await run('config', 'example')).toEqual({ code: 0, stdout: EXAMPLE, stderr: '' });
});

test('config check prints each problem with its path and fails', async () => {
  const file = join(folder, 'bad.yaml');
  writeFileSync(
    file,
    EXAMPLE.replace('level: info', 'level: loud').replace('kind: DataPlane', 'kind: Other'),
  );
  const { code, stdout, stderr } = await run('config', 'check', file);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr.split('\n').sort()).toEqual([
    '',
    `${file}: kind: must be DataPlane`,
    `${file}: log.level: must be one of trace, debug, info, warn, error, fatal`,
  ]);
});

test('config check of a valid file says ok, and warns of readable secrets', async () => {
  const file = join(folder, 'good.json');
  writeFileSync(join(folder, 'i.key'), 'ab'.repeat(32), { mode: 0o600 });
  writeFileSync(join(folder, 't'), 'ab'.repeat(32), { mode: 0o644 });
  const root = { accessKeyId: 'ROOT', secretAccessKey: 'x'.repeat(16) };
  writeFileSync(join(folder, 'root.json'), JSON.stringify(root), { mode: 0o600 });
  const config = {
    apiVersion: 'config.sealgate.io/v1',
    kind: 'DataPlane',
    installation: { id: 'ab'.repeat(16), region: 'r', keyFile: 'i.key' },
    s3: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0', tokenFile: 't' },
    monitoring: { listen: '127.0.0.1:0' },
    metadata: { engine: 'sqlite', path: 'm.db' },
    blobs: { engine: 'filesystem', path: 'blobs' },
    rootCredentials: { file: 'root.json' },
  };
  writeFileSync(file, JSON.stringify(config));
  const { code, stdout, stderr } = await run('config', 'check', file);
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'ok\n' });
  expect(stderr).toMatch(/^warning: admin\.tokenFile: .* can be read by everyone .*\n$/);
});
