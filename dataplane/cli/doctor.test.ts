import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli } from './cli.ts';
import { doctorKmipCommand } from './doctorKmip.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-doctor-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const code = await runCli([doctorKmipCommand], ['doctor', ...args], {
    stdout: (text) => {
      written.stdout += text;
    },
    stderr: (text) => {
      written.stderr += text;
    },
  });
  return { code, ...written };
}

test.each([
  [['kmip'], '--config FILE is missing'],
  [['kmip', '--config', 'f', 'more'], "unexpected argument 'more'"],
  [['kmip', '--config', 'f', '--json=yes'], "'--json'"],
  [['nothing'], "unknown command 'doctor nothing'"],
])('doctor %j is wrong usage', async (args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
});

test('doctor kmip says what is wrong with the configuration', async () => {
  const file = join(folder, 'bad.json');
  writeFileSync(file, '{}');
  const { code, stdout, stderr } = await run('kmip', '--config', file);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toContain(`${file}: apiVersion: `);
});

test('doctor kmip says that there is no KMS to examine', async () => {
  const file = join(folder, 'plain.json');
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
    metadata: { engine: 'sqlite', path: 'm.db' },
    blobs: { engine: 'filesystem', path: 'blobs' },
    rootCredentials: { file: 'root.json' },
  };
  writeFileSync(file, JSON.stringify(document));
  expect(await run('kmip', '--config', file)).toEqual({
    code: 3,
    stdout: '',
    stderr: 'sealgate: the configuration names no KMS connection\n',
  });
});
