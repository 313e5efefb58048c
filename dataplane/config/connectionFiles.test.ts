import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { NO_CONNECTIONS, type ReadConnections, readConnections } from './connectionFiles.ts';
import { ConfigError } from './errors.ts';
import type { Connections } from './settings.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-connections-'));
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
  const files = ['-keyout', join(folder, 'client.key'), '-out', join(folder, 'client.crt')];
  execFileSync('openssl', [...args, '-subj', '/CN=kms', ...files], { stdio: 'ignore' });
});

afterEach(() => rmSync(folder, { recursive: true }));

function connection(name: string, more: object = {}): string {
  const tls = { certFile: 'client.crt', keyFile: 'client.key', caFile: 'client.crt' };
  const kmip = { endpoints: [{ host: '127.0.0.1' }], tls };
  return JSON.stringify({ name, provider: 'KMIP', kmip, ...more });
}

function write(file: string, text: string): void {
  writeFileSync(join(folder, file), text, { mode: 0o600 });
}

function read(
  before: Connections = NO_CONNECTIONS,
  taken: string[] = [],
  nowMs = Date.now(),
): ReadConnections {
  return readConnections({ folder, taken, before, nowMs });
}

const names = ({ inForce }: Connections): string[] => inForce.map(({ settings }) => settings.name);

test('each file is one connection, by name of the file, with its revision; other files do not count', () => {
  write('team-b.kms.yaml', `# YAML\n${connection('team-b/kms', { revision: 'r2' })}`);
  write('team-a.kms.json', connection('team-a/kms'));
  write('team-a.kms.credentials.json', '{"username": "u", "password": "p"}');
  write('.hidden.json', '{');
  write('notes.txt', '{');
  const found = read();
  expect(found.inForce.map(({ file, revision }) => [file, revision])).toEqual([
    ['team-a.kms.json', null],
    ['team-b.kms.yaml', 'r2'],
  ]);
  expect(names(found)).toEqual(['team-a/kms', 'team-b/kms']);
  expect(found.refused).toEqual([]);
});

test('a folder that is not there has none; one that is a file is an error', () => {
  const gone = { taken: [], before: NO_CONNECTIONS, nowMs: 0 };
  expect(readConnections({ ...gone, folder: join(folder, 'gone') })).toMatchObject({
    inForce: [],
    refused: [],
  });
  expect(() => readConnections({ ...gone, folder: join(folder, 'client.crt') })).toThrow(ConfigError);
});

test.each([
  ['what is not YAML', '{', /^line 1, column/],
  ['an unknown field', connection('team-a/kms', { extra: 1 }), /^extra: unknown field$/],
  [
    'a missing certificate',
    connection('team-a/kms').replace('client.crt', 'none.crt'),
    /^kmip\.tls\.certFile: .*no such file$/,
  ],
  ['a name that is taken', connection('team-b/kms'), /^name: team-b\/kms is already taken$/],
])('%s is refused alone, and the last good one stays in force', (_what, text, problem) => {
  write('team-a.kms.json', connection('team-a/kms', { revision: 'good' }));
  write('team-b.kms.json', connection('team-b/kms'));
  const before = read(NO_CONNECTIONS, ['main']);
  expect(names(before)).toEqual(['team-a/kms', 'team-b/kms']);
  const taken = text.includes('team-b/kms') ? ['team-b/kms'] : [];
  rmSync(join(folder, 'team-b.kms.json'));
  if (taken.length === 0) write('team-b.kms.json', connection('team-b/kms'));
  write('team-a.kms.json', text);
  const after = read(before, taken, 1_000);
  expect(after.refused).toEqual([
    { file: 'team-a.kms.json', problems: [expect.stringMatching(problem)], sinceMs: 1_000 },
  ]);
  expect(after.inForce[0]).toMatchObject({ file: 'team-a.kms.json', revision: 'good' });
  // The same refusal at the next look is not a new one, and what was good is still remembered.
  const again = read(after, taken, 2_000);
  expect(again.refused[0]?.sinceMs).toBe(1_000);
  expect(names(again)).toEqual(names(after));
});

test('a file that was never good has no connection, and one that is gone has none any more', () => {
  write('a.json', '{}');
  write('b.json', connection('b'));
  const first = read();
  expect(names(first)).toEqual(['b']);
  expect(first.refused.map(({ file }) => file)).toEqual(['a.json']);
  rmSync(join(folder, 'b.json'));
  expect(names(read(first))).toEqual([]);
});

test('what is read changes with a referenced file, with a refusal and with a name', () => {
  write('a.json', connection('a'));
  const contents = (): string => Buffer.concat(read().contents).toString('hex');
  const seen = new Set([contents()]);
  write('a.json', connection('a').replace('client.key', 'other.key'));
  seen.add(contents());
  mkdirSync(join(folder, 'other.key'));
  seen.add(contents());
  write('b.json', connection('b'));
  seen.add(contents());
  expect(seen.size).toBe(4);
});
