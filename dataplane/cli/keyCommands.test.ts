import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { administrationOf, adminServerOn } from '../jobs/administration.testkit.ts';
import { type Life, startLife } from '../jobs/life.testkit.ts';
import { bucketOf, putSealed } from '../jobs/sealed.testkit.ts';
import { FakeClock } from '../keys/fakeClock.testkit.ts';
import { FakeKms } from '../keys/fakeKms.testkit.ts';
import { type Engine, openEngine } from '../metadata/sqlite/engine.testkit.ts';
import { portOf } from '../process/listener.ts';
import { runCli } from './cli.ts';
import { keysCommand, keysDestroyCommand } from './keys.ts';
import { progressText } from './progressBar.ts';
import { rotateCommandAt } from './rotate.ts';

const TOKEN = 'ab'.repeat(32);
let engine: Engine;
let kms: FakeKms;
let life: Life;
let server: FastifyInstance;
let folder: string;
let config: string;
let nowMs: number;

beforeEach(async () => {
  engine = await openEngine();
  kms = new FakeKms(new FakeClock());
  life = await startLife(engine, kms);
  await life.create('docs');
  server = adminServerOn(administrationOf(life).keys, { tokens: () => [TOKEN] });
  await server.listen({ host: '127.0.0.1', port: 0 });
  folder = mkdtempSync(join(tmpdir(), 'sealgate-key-cli-'));
  config = writeConfig(portOf(server.server));
  nowMs = 0;
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
  await life[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

function writeConfig(port: number, token = TOKEN): string {
  const secret = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return name;
  };
  const root = { accessKeyId: 'ROOT', secretAccessKey: 'x'.repeat(16) };
  const document = {
    apiVersion: 'config.sealgate.io/v1',
    kind: 'DataPlane',
    installation: { id: 'ab'.repeat(16), region: 'r', keyFile: secret('i.key', 'ab'.repeat(32)) },
    s3: { listen: '127.0.0.1:0' },
    admin: { listen: `127.0.0.1:${port}`, tokenFile: secret('t', token) },
    monitoring: { listen: '127.0.0.1:0' },
    metadata: { engine: 'sqlite', path: 'm.db' },
    blobs: { engine: 'filesystem', path: 'blobs' },
    rootCredentials: { file: secret('root.json', JSON.stringify(root)) },
  };
  const file = join(folder, 'sealgate.json');
  writeFileSync(file, JSON.stringify(document));
  return file;
}

async function run(args: readonly string[], isTerminal = false) {
  let stdout = '';
  let stderr = '';
  const rotate = rotateCommandAt({
    nowMs: () => nowMs,
    // While the command waits, the server works.
    wait: async (waitMs) => {
      nowMs += waitMs;
      await life.jobs.round();
    },
  });
  const code = await runCli([rotate, keysDestroyCommand, keysCommand], args, {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    isTerminal,
  });
  return { code, stdout, stderr };
}

describe('sealgate rotate', () => {
  test('gives the bucket a new key, and the same request id no second one', async () => {
    const first = await run(['rotate', '--config', config, 'docs', '--request-id', 'r1']);
    const says = 'docs: key version 2 is in force (kms, key-2); what is stored is being sealed anew\n';
    expect(first).toEqual({ code: 0, stdout: says, stderr: 'request id r1\n' });
    expect(await run(['rotate', '--config', config, 'docs', '--request-id', 'r1'])).toEqual(first);
  });

  test.each([true, false])('waits for the rewrap with its progress (terminal: %s)', async (isTerminal) => {
    const bucket = await bucketOf(life, 'docs');
    for (let i = 0; i < 4; i += 1) await putSealed(life, bucket, `o${i}`, 'content');
    const args = ['rotate', '--config', config, 'docs', '--to-connection', 'other', '--wait'];
    const { code, stdout, stderr } = await run(args, isTerminal);
    expect(code).toBe(0);
    expect(stdout).toContain('key version 2 is in force (other, key-2)');
    expect(stdout).toContain('docs: nothing is sealed under an older version any more\n');
    expect(stderr).toContain('[..............................]   0 %  0 of 4 sealed anew, 0/s');
    expect(stderr.includes('\r')).toBe(isTerminal);
  });

  test('tells why the rewrap waits, once', async () => {
    const bucket = await bucketOf(life, 'docs');
    await putSealed(life, bucket, 'o', 'content');
    engine.edit('UPDATE object_version SET sealed_key = zeroblob(48)');
    await life.rotations.rotate('docs', { requestId: 'r1', toConnection: null });
    for (let round = 0; round < 4; round += 1) await life.jobs.round();
    const deleted = async (): Promise<void> => {
      await life.metadata.deleteObject('docs', bucket.bucketUid, Buffer.from('o'), undefined);
      life.clock.nowMs += 3_600_000;
    };
    let polls = 0;
    let stderr = '';
    const rotate = rotateCommandAt({
      nowMs: () => nowMs,
      wait: async () => {
        polls += 1;
        if (polls === 3) await deleted();
        await life.jobs.round();
      },
    });
    const note = (text: string): void => void (stderr += text);
    await rotate.run(['--config', config, 'docs', '--request-id', 'r1', '--wait'], {
      stdout: note,
      stderr: note,
    });
    expect(stderr.split('waiting: some sealed keys do not open')).toHaveLength(2);
  });

  test('sets and removes a schedule', async () => {
    const set = await run(['rotate', '--config', config, 'docs', '--every', '90d']);
    expect(set).toEqual({ code: 0, stdout: 'docs: rotated whenever its key is 90d old\n', stderr: '' });
    const removed = await run(['rotate', '--config', config, 'docs', '--every', 'never']);
    expect(removed.stdout).toBe('docs: rotated only when asked\n');
    expect((await bucketOf(life, 'docs')).keyVersion).toBe(1);
  });

  test.each([
    [['none'], 'NoSuchBucket: there is no bucket none'],
    [['docs', '--to-connection', 'nowhere'], 'NoSuchConnection: there is no KMS connection nowhere'],
    [['docs', '--every', 'soon'], 'InvalidArgument: every: must be an age'],
  ])('says what the server says to %j', async (args, message) => {
    const { code, stderr } = await run(['rotate', '--config', config, ...args]);
    expect(code).toBe(3);
    expect(stderr).toContain(`sealgate: ${message}`);
  });

  test('says that there is no server, a wrong token, or no port to find it by', async () => {
    const rotate = () => run(['rotate', '--config', config, 'docs']);
    writeConfig(portOf(server.server), 'cd'.repeat(32));
    expect((await rotate()).stderr).toContain('Unauthorized: a valid bearer token is required');
    writeConfig(0);
    expect((await rotate()).stderr).toContain('admin.listen has port 0');
    const port = portOf(server.server);
    await server.close();
    writeConfig(port);
    expect(await rotate()).toMatchObject({ code: 3 });
    expect((await rotate()).stderr).toContain('is the server running?');
  });
});

describe('sealgate keys', () => {
  test('lists every key with what uses it, or only the unused ones', async () => {
    const bucket = await bucketOf(life, 'docs');
    await putSealed(life, bucket, 'o', 'content');
    await life.rotations.rotate('docs', { requestId: 'r1', toConnection: null });
    await life.settle();
    const { code, stdout } = await run(['keys', '--config', config]);
    expect(code).toBe(0);
    const lines = stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 5).join(' '));
    expect(lines).toEqual([
      'KEY BUCKET STATE USES CONNECTION',
      `${bucket.bucketUid}/1 docs Revoked 0 kms`,
      `${bucket.bucketUid}/2 docs Current 1 kms`,
      '',
    ]);
    const unused = await run(['keys', '--config', config, '--unused', '--json']);
    const told = unused.stdout
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(told).toMatchObject([{ n: 1, state: 'Revoked', kmsId: 'key-1' }]);
  });

  test('are destroyed one by one, and only with --yes', async () => {
    const { bucketUid } = await bucketOf(life, 'docs');
    await life.rotations.rotate('docs', { requestId: 'r1', toConnection: null });
    await life.settle();
    const destroy = (n: number, ...more: string[]) =>
      run(['keys', 'destroy', '--config', config, `${bucketUid}/${n}`, ...more]);
    expect(await destroy(1)).toMatchObject({ code: 1, stdout: '' });
    expect(kms.keys.size).toBe(2);
    const refused = await destroy(2, '--yes');
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('KeyInUse');
    expect(await destroy(1, '--yes')).toMatchObject({
      code: 0,
      stdout: `${bucketUid}/1: Destroyed (kms, key-1)\n`,
    });
    expect([...kms.keys.keys()]).toEqual(['key-2']);
  });
});

test.each([
  [['rotate', 'docs'], '--config FILE is missing'],
  [['rotate', '--config', 'f'], 'an argument is missing'],
  [['rotate', '--config', 'f', 'docs', '--every', '1d', '--wait'], '--every sets the schedule'],
  [['keys'], '--config FILE is missing'],
  [['keys', 'destroy', '--config', 'f', 'docs', '--yes'], "'docs' is not a KEY"],
])('%j is wrong usage', async (args, message) => {
  const { code, stderr } = await run(args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

test.each([
  [{ done: 0, remaining: 0 }, '[##############################] 100 %  0 of 0 sealed anew, 0/s'],
  [
    { done: 1_000, remaining: 1_000 },
    '[###############...............]  50 %  1,000 of 2,000 sealed anew, 0/s',
  ],
])('progress of %j is %s', (progress, text) => {
  expect(progressText(progress, 0)).toBe(text);
});
