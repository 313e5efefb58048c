import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from './cli.ts';
import { inspectCommand } from './inspect.ts';
import { verifyCommand } from './verify.ts';

let folder = '';
let config = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-recovery-cli-'));
  config = join(folder, 'sealgate.json');
  writeFileSync(join(folder, 'i.key'), 'ab'.repeat(32), { mode: 0o600 });
  writeFileSync(join(folder, 't'), 'ab'.repeat(32), { mode: 0o600 });
  const root = { accessKeyId: 'ROOT', secretAccessKey: 'x'.repeat(16) };
  writeFileSync(join(folder, 'root.json'), JSON.stringify(root), { mode: 0o600 });
  const document = {
    apiVersion: 'config.sealgate.io/v1',
    kind: 'DataPlane',
    installation: { id: 'ab'.repeat(16), region: 'r', keyFile: 'i.key' },
    s3: { listen: '127.0.0.1:0' },
    admin: { listen: '127.0.0.1:0', tokenFile: 't' },
    monitoring: { listen: '127.0.0.1:0' },
    metadata: { engine: 'sqlite', path: 'nothing/m.db' },
    blobs: { engine: 'filesystem', path: 'blobs' },
    rootCredentials: { file: 'root.json' },
  };
  writeFileSync(config, JSON.stringify(document));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let stdout = '';
  let stderr = '';
  const code = await runCli([inspectCommand, verifyCommand], args, {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
  });
  return { code, stdout, stderr };
}

test.each([
  [['verify'], '--config FILE is missing'],
  [['inspect'], '--config FILE is missing'],
  [['verify', '--config', 'f', '--key-prefix', 'p'], '--key-prefix needs --bucket'],
  [['verify', '--config', 'f', '--json=yes'], "'--json'"],
  [['inspect', '--config', 'f', '--key', 'k'], '--key needs --bucket'],
  [['inspect', '--config', 'f', '--bucket', 'b', '--blob', 'x'], 'exclude each other'],
  [['inspect', '--config', 'f', 'more'], "unexpected argument 'more'"],
])('%j is wrong usage', async (args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
});

test.each(['inspect', 'verify'])('%s says what is wrong with the configuration', async (command) => {
  const bad = join(folder, 'bad.json');
  writeFileSync(bad, '{}');
  const { code, stdout, stderr } = await run(command, '--config', bad);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toContain(`${bad}: apiVersion: `);
});

test.each(['inspect', 'verify'])('%s says that there is no metadata, and makes none', async (command) => {
  const { code, stdout, stderr } = await run(command, '--config', config);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toBe('sealgate: the metadata engine failed: unable to open database file\n');
});
