import { createSecretKey } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { ConfigError } from '../config/errors.ts';
import type { LoadedConfig, Settings } from '../config/settings.ts';
import { createLogger } from '../log.ts';
import { Reloader } from './reload.ts';

const SETTINGS: Settings = {
  installation: { id: '0'.repeat(32), region: 'us-east-1', key: createSecretKey(Buffer.alloc(32, 1)) },
  s3: { listen: { host: '127.0.0.1', port: 1 }, domains: [], tls: null },
  admin: { listen: { host: '127.0.0.1', port: 2 }, tokens: ['t'], tls: null },
  monitoring: { listen: { host: '127.0.0.1', port: 3 } },
  metadata: { engine: 'sqlite', path: '/m' },
  blobs: { engine: 'filesystem', path: '/b' },
  kmsConnections: [],
  defaultKmsConnection: null,
  rootCredentials: { accessKeyId: 'a', secretAccessKey: 's' },
  policy: { plainBuckets: 'Allowed', copyToPlain: 'Allowed' },
  gc: { graceMs: 1 },
  shutdownLimitMs: 40_000,
  workers: 2,
  log: { level: 'info' },
};

function config(hash: string, change: Partial<Settings> = {}): LoadedConfig {
  return {
    file: '/c.yaml',
    hash,
    revision: null,
    connections: { inForce: [], refused: [] },
    connectionsDir: null,
    settings: { ...SETTINGS, ...change },
    warnings: [],
  };
}

/** A reloader over what `files.next` gives, and everything that it did. */
function reloader() {
  const files: { next: LoadedConfig | Error } = { next: config('1') };
  const applied: string[] = [];
  const counted: string[] = [];
  const sink = new PassThrough({ encoding: 'utf8' });
  const subject = new Reloader({
    initial: config('1'),
    load: () => {
      if (files.next instanceof Error) throw files.next;
      return files.next;
    },
    apply: (next) => {
      if (next.hash === 'unfit') return Promise.reject(BROKEN);
      applied.push(next.hash);
      return Promise.resolve();
    },
    metrics: { configLoaded: (result) => counted.push(result), connectionsRefused: () => {} },
    log: createLogger({ level: 'info', thread: 'test', destination: sink }),
    now: () => 7,
  });
  const messages = (): unknown[] =>
    String(sink.read() ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line) as { msg: string }).msg);
  return { subject, files, applied, counted, messages };
}

const BROKEN = new ConfigError('Invalid', '/c.yaml', [{ path: 's3.listen', message: 'must be there' }]);
const REFUSED = 'configuration refused, the old one stays in force';

test('a valid new file is put in force', async () => {
  const { subject, files, applied, counted, messages } = reloader();
  files.next = config('2', { log: { level: 'warn' } });
  await subject.check(false);
  expect(applied).toEqual(['2']);
  expect(subject.inForce.hash).toBe('2');
  expect(counted).toEqual(['applied', 'applied']);
  expect(messages()).toEqual(['configuration reloaded']);
});

test('an unchanged file does nothing, and says so only when asked', async () => {
  const { subject, applied, messages } = reloader();
  await subject.check(false);
  expect(messages()).toEqual([]);
  await subject.check(true);
  expect(messages()).toEqual(['configuration unchanged']);
  expect(applied).toEqual([]);
});

test('an invalid file leaves the old one in force, is logged once and shown until it is valid again', async () => {
  const { subject, files, applied, counted, messages } = reloader();
  files.next = BROKEN;
  await subject.check(false);
  await subject.check(false);
  expect(subject.refused).toEqual({ atMs: 7, problems: ['s3.listen: must be there'] });
  expect(messages()).toEqual([REFUSED]);
  await subject.check(true);
  expect(messages()).toEqual([REFUSED]);
  expect(counted).toEqual(['applied', 'refused', 'refused']);
  files.next = config('1');
  await subject.check(false);
  expect(subject.refused).toBeNull();
  expect(counted.at(-1)).toBe('applied');
  expect(applied).toEqual([]);
});

test.each<[path: string, change: Partial<Settings>]>([
  ['installation.id', { installation: { ...SETTINGS.installation, id: '1'.repeat(32) } }],
  ['installation.region', { installation: { ...SETTINGS.installation, region: 'eu' } }],
  [
    'installation.keyFile',
    { installation: { ...SETTINGS.installation, key: createSecretKey(Buffer.alloc(32, 2)) } },
  ],
  ['s3.listen', { s3: { ...SETTINGS.s3, listen: { host: '127.0.0.1', port: 9 } } }],
  ['s3.tls', { s3: { ...SETTINGS.s3, tls: { cert: 'c', key: 'k' } } }],
  ['admin.listen', { admin: { listen: { host: '::1', port: 2 }, tokens: ['t'], tls: null } }],
  ['monitoring.listen', { monitoring: { listen: { host: '::1', port: 3 } } }],
  ['metadata', { metadata: { engine: 'sqlite', path: '/n' } }],
  ['blobs', { blobs: { engine: 'filesystem', path: '/n' } }],
  ['gc', { gc: { graceMs: 2 } }],
  ['workers', { workers: 'auto' }],
])('a change of %s needs a restart: the whole file is refused', async (path, change) => {
  const { subject, files, applied } = reloader();
  files.next = config('2', { ...change, log: { level: 'debug' } });
  await subject.check(true);
  expect(applied).toEqual([]);
  expect(subject.inForce.hash).toBe('1');
  expect(subject.refused?.problems).toEqual([
    `${path}: cannot change while the process runs: put the old value back, or restart it`,
  ]);
});

test.each<[what: string, change: Partial<Settings>]>([
  ['the admin token', { admin: { ...SETTINGS.admin, tokens: ['u'], tls: null } }],
  ['root credentials', { rootCredentials: { accessKeyId: 'b', secretAccessKey: 's' } }],
  ['domains', { s3: { ...SETTINGS.s3, domains: ['s3.test'] } }],
  ['the policy', { policy: { plainBuckets: 'Refused', copyToPlain: 'Allowed' } }],
  ['the default KMS connection', { defaultKmsConnection: 'x' }],
])('a change of %s takes effect at once', async (_what, change) => {
  const { subject, files, applied } = reloader();
  files.next = config('2', change);
  await subject.check(true);
  expect(applied).toEqual(['2']);
});

test('a failure that is not the configuration is not swallowed', async () => {
  const { subject, files } = reloader();
  files.next = new RangeError('bug');
  await expect(subject.check(true)).rejects.toThrow('bug');
});

test('settings that cannot be put in force are refused like an invalid file', async () => {
  const { subject, files } = reloader();
  files.next = config('unfit');
  await subject.check(true);
  expect(subject.inForce.hash).toBe('1');
  expect(subject.refused?.problems).toEqual(['s3.listen: must be there']);
});
