import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { loadConfig } from './config.ts';
import { ConfigError, describeProblem } from './errors.ts';
import { EXAMPLE } from './example.ts';
import type { LoadedConfig } from './settings.ts';

const FILES = {
  'installation.key': `${'a1'.repeat(32)}\n`,
  'admin.token': 'T'.repeat(40),
  'root.json': '{"accessKeyId": "ROOTKEY", "secretAccessKey": "0123456789abcdef"}',
  'kms/user.json': '{"username": "gateway", "password": "pw"}',
};

let folder = '';

function write(name: string, content: string): void {
  const file = join(folder, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content, { mode: 0o600 });
}

function makeCertificate(certFile: string, keyFile: string): void {
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '30',
  ];
  const names = ['-subj', '/CN=test', '-keyout', join(folder, keyFile), '-out', join(folder, certFile)];
  execFileSync('openssl', [...args, ...names], { stdio: 'ignore' });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealgate-config-'));
  for (const [name, content] of Object.entries(FILES)) write(name, content);
  makeCertificate('tls.crt', 'tls.key');
  makeCertificate('kms/client.crt', 'kms/client.key');
  copyFileSync(join(folder, 'tls.crt'), join(folder, 'kms/ca.crt'));
  write('bad.json', '{"accessKeyId": "ROOTKEY", "secretAccessKey": "topsecretvalue", "extra": 1}');
  write('nojson', 'topsecretvalue{');
  const chain = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  write('chain.crt', readFileSync(join(folder, 'tls.crt'), 'utf8') + chain);
  write('short.key', 'topsecretvalue');
});

afterAll(() => rmSync(folder, { recursive: true }));

/** Members that can be replaced along a path. */
type Tree = { [name: string]: Tree };

function load(text: string): LoadedConfig {
  write('sealgate.yaml', text);
  return loadConfig(join(folder, 'sealgate.yaml'));
}

function problemsOf(action: () => unknown): string[] {
  try {
    action();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(describeProblem);
    throw error;
  }
  return [];
}

/** The example with one field replaced; undefined removes it. */
function changed(path: string, value: unknown): string {
  const document = parse(EXAMPLE) as Tree;
  const steps = path.split('.');
  const last = steps.pop() ?? '';
  let place: Tree = document;
  for (const step of steps) place = place[step] as Tree;
  if (value === undefined) delete place[last];
  else place[last] = value as Tree;
  return stringify(document);
}

test('the printed example is valid, and its settings are what it says', () => {
  const { settings, warnings, hash } = load(EXAMPLE);
  expect(warnings).toEqual([]);
  expect(hash).toMatch(/^[0-9a-f]{32}$/);
  expect(settings.installation.key.export()).toEqual(Buffer.from('a1'.repeat(32), 'hex'));
  expect(settings).toMatchObject({
    installation: { id: '6f0c2f6f3c1d4b0f9a5e8d7c6b5a4938', region: 'us-east-1' },
    s3: { listen: { host: '127.0.0.1', port: 9000 }, domains: ['s3.example.com'] },
    admin: { listen: { host: '127.0.0.1', port: 9001 }, tokens: ['T'.repeat(40)] },
    monitoring: { listen: { host: '127.0.0.1', port: 9002 } },
    metadata: { engine: 'sqlite', path: join(folder, 'data/metadata.db') },
    blobs: { engine: 'filesystem', path: join(folder, 'data/blobs') },
    defaultKmsConnection: 'team-a/keysecure',
    rootCredentials: { accessKeyId: 'ROOTKEY', secretAccessKey: '0123456789abcdef' },
    policy: { plainBuckets: 'Allowed', copyToPlain: 'Allowed' },
    gc: { graceMs: 86_400_000 },
    shutdownLimitMs: 40_000,
    workers: 'auto',
    log: { level: 'info' },
  });
  expect(settings.kmsConnections).toMatchObject([
    {
      name: 'team-a/keysecure',
      endpoints: [{ host: 'ks1.example.com', port: 5696, tier: 0, serverName: 'ks1.example.com' }],
      credentials: { username: 'gateway', password: 'pw' },
      protocol: { min: '1.1', max: '1.3' },
      separateMessages: true,
      keyNamePrefix: 'sealgate',
      objectGroup: true,
      timeouts: { connectMs: 3_000, requestMs: 5_000, totalMs: 10_000 },
      cache: { ttlMs: 300_000, staleLimitMs: 3_600_000 },
    },
  ]);
});

test('everything that the example calls optional may be left out', () => {
  const document = parse(EXAMPLE) as Tree;
  const optional = ['revision', 'kmsConnections', 'connectionsDir', 'defaultKmsConnection', 'policy', 'gc'];
  for (const name of [...optional, 'workers', 'log']) delete document[name];
  delete (document['admin'] as Tree)['tls'];
  const { settings, revision, connectionsDir } = load(
    JSON.stringify({ ...document, s3: { listen: '[::1]:0' } }),
  );
  expect({ revision, connectionsDir }).toEqual({ revision: null, connectionsDir: null });
  expect(settings).toMatchObject({
    s3: { listen: { host: '::1', port: 0 }, domains: [], tls: null },
    admin: { tls: null },
    kmsConnections: [],
    defaultKmsConnection: null,
    policy: { plainBuckets: 'Allowed', copyToPlain: 'Allowed' },
    gc: { graceMs: 86_400_000 },
    shutdownLimitMs: 40_000,
    workers: 'auto',
    log: { level: 'info' },
  });
});

test('a KMS connection needs no more than endpoint, certificates and name', () => {
  const tls = { certFile: 'kms/client.crt', keyFile: 'kms/client.key', caFile: 'kms/ca.crt' };
  const text = changed('kmsConnections', [
    { name: 'team-a/keysecure', provider: 'KMIP', kmip: { endpoints: [{ host: '10.0.0.1' }], tls } },
  ]);
  const { settings } = load(text);
  expect(settings.kmsConnections[0]).toEqual({
    name: 'team-a/keysecure',
    endpoints: [{ host: '10.0.0.1', port: 5696, tier: 0 }],
    tls: { cert: expect.any(String), key: expect.any(String), ca: expect.any(String) },
    protocol: { min: '1.1', max: '1.4' },
    separateMessages: false,
    keyNamePrefix: 'sealgate',
    objectGroup: true,
    timeouts: { connectMs: 3_000, requestMs: 5_000, totalMs: 10_000 },
    cache: { ttlMs: 300_000, staleLimitMs: 3_600_000 },
  });
});

const HEX_64 = 'the file must hold 64 hex characters (openssl rand -hex 32)';

test.each<[path: string, value: unknown, problem: unknown]>([
  ['apiVersion', 'v2', 'apiVersion: must be config.sealgate.io/v1'],
  ['kind', undefined, 'kind: must be DataPlane'],
  ['audit', { path: 'x' }, 'audit: unknown field'],
  ['trustedProxies', [], 'trustedProxies: unknown field'],
  ['connectionsDir', '', 'connectionsDir: must be a path'],
  ['revision', '', 'revision: must not be empty'],
  ['installation', undefined, 'installation: missing: must be a mapping'],
  ['installation.id', 12, 'installation.id: must be of type string'],
  [
    'installation.id',
    'ABC',
    'installation.id: must be 32 lower-case hex characters (openssl rand -hex 16), in quotes',
  ],
  ['installation.region', 'EU West', 'installation.region: must be a region name such as us-east-1'],
  ['installation.keyFile', undefined, 'installation.keyFile: missing: must be of type string'],
  ['installation.keyFile', 'short.key', `installation.keyFile: ${HEX_64}`],
  ['installation.keyFile', '', 'installation.keyFile: must be a path'],
  ['s3.listen', '9000', 's3.listen: must be host:port, such as 127.0.0.1:9000 or [::]:9000'],
  ['s3.listen', '127.0.0.1:70000', 's3.listen: must be host:port, such as 127.0.0.1:9000 or [::]:9000'],
  ['s3.listen', '[127.0.0.1]:1', 's3.listen: must be host:port, such as 127.0.0.1:9000 or [::]:9000'],
  ['s3.domains', ['10.0.0.1'], 's3.domains[0]: must be a DNS name such as s3.example.com'],
  [
    's3.tls.keyFile',
    'kms/client.key',
    's3.tls.keyFile: the key does not belong to the certificate of certFile',
  ],
  ['s3.tls.keyFile', 'nojson', 's3.tls.keyFile: the file must hold an unencrypted private key in PEM'],
  ['s3.tls.certFile', 'nojson', 's3.tls.certFile: the file must hold a certificate in PEM'],
  [
    's3.tls.certFile',
    'chain.crt',
    expect.stringMatching(/^s3\.tls: the certificates cannot be used for TLS \(.+\)$/),
  ],
  ['s3.tls.minVersion', '1.3', 's3.tls.minVersion: unknown field'],
  [
    'admin.tokenFile',
    'short.key',
    'admin.tokenFile: the file must hold a bearer token of at least 32 letters, digits or "._~+/=-" (openssl rand -hex 32), or up to 4, one a line',
  ],
  ['metadata.engine', 'postgresql', 'metadata.engine: must be sqlite'],
  ['blobs.engine', 's3', 'blobs.engine: must be filesystem'],
  ['metadata.path', 'data/blobs/metadata.db', 'metadata.path: must not be inside blobs.path'],
  ['kmsConnections.0.keyAccess', 'Wrap', 'kmsConnections[0].keyAccess: must be Fetch'],
  ['kmsConnections.0.provider', 'AWS', 'kmsConnections[0].provider: must be KMIP'],
  [
    'kmsConnections.0.name',
    'Team A',
    'kmsConnections[0].name: must be a name such as keysecure or team-a/keysecure',
  ],
  [
    'kmsConnections.0.kmip.endpoints',
    [],
    'kmsConnections[0].kmip.endpoints: must have at least one endpoint',
  ],
  [
    'kmsConnections.0.kmip.endpoints',
    Array.from({ length: 17 }, (_, i) => ({ host: `ks${i}` })),
    'kmsConnections[0].kmip.endpoints: must have at most 16 endpoints',
  ],
  [
    'kmsConnections.0.kmip.endpoints',
    [{ host: 'a' }, { host: 'a', port: 5696, tier: 1 }],
    'kmsConnections[0].kmip.endpoints: must not name the same host and port twice',
  ],
  [
    'kmsConnections.0.kmip.endpoints.0.host',
    'https://ks1',
    'kmsConnections[0].kmip.endpoints[0].host: must be a DNS name or an IP address, without scheme, port or brackets',
  ],
  [
    'kmsConnections.0.kmip.endpoints.0.weight',
    0,
    'kmsConnections[0].kmip.endpoints[0].weight: unknown field',
  ],
  [
    'kmsConnections.0.kmip.tls.caFile',
    'nojson',
    'kmsConnections[0].kmip.tls.caFile: the file must hold a certificate in PEM',
  ],
  [
    'kmsConnections.0.kmip.protocol',
    { min: '1.4', max: '1.2' },
    'kmsConnections[0].kmip.protocol: min must not be above max (1.4 to 1.2, with what profile KeySecureClassic says)',
  ],
  [
    'kmsConnections.0.kmip.protocol.max',
    '2.0',
    'kmsConnections[0].kmip.protocol.max: must be one of 1.0, 1.1, 1.2, 1.3, 1.4',
  ],
  [
    'kmsConnections.0.kmip.timeouts.total',
    '2s',
    'kmsConnections[0].kmip.timeouts: connect and request must not exceed total',
  ],
  [
    'kmsConnections.0.kmip.timeouts.connect',
    '50ms',
    'kmsConnections[0].kmip.timeouts.connect: must be between 100ms and 1m',
  ],
  [
    'kmsConnections.0.cache.ttl',
    '5 minutes',
    'kmsConnections[0].cache.ttl: must be a duration such as 500ms, 5m or 1h30m',
  ],
  ['kmsConnections.0.cache.ttl', 300, 'kmsConnections[0].cache.ttl: must be of type string'],
  ['kmsConnections.0.cache.ttl', '25h', 'kmsConnections[0].cache.ttl: must be between 0s and 24h'],
  [
    'kmsConnections.0.kmip.credentialsFile',
    'root.json',
    'kmsConnections[0].kmip.credentialsFile: in the file, username: missing: must be of type string',
  ],
  ['rootCredentials.file', 'nojson', 'rootCredentials.file: the file must hold JSON'],
  ['rootCredentials.file', 'bad.json', 'rootCredentials.file: in the file, extra: unknown field'],
  [
    'rootCredentials.file',
    'bad.json',
    'rootCredentials.file: in the file, secretAccessKey: must be 16 to 128 printable characters without blanks',
  ],
  ['policy.plainBuckets', 'No', 'policy.plainBuckets: must be one of Allowed, Refused'],
  ['gc.grace', '-1s', 'gc.grace: must be a duration such as 500ms, 5m or 1h30m'],
  ['shutdownLimit', '100ms', 'shutdownLimit: must be between 500ms and 1h'],
  ['workers', 0, 'workers: must be auto or a number from 1 to 256'],
  ['log.level', 'loud', 'log.level: must be one of trace, debug, info, warn, error, fatal'],
])('%s = %j is refused: %s', (path, value, problem) => {
  const problems = problemsOf(() => load(changed(path, value)));
  expect(problems).toEqual(expect.arrayContaining([problem]));
  expect(problems.join()).not.toContain('topsecretvalue');
});

test('a file that is not there or not a file is named with its field', () => {
  expect(problemsOf(() => load(changed('admin.tokenFile', 'none')))).toEqual([
    `admin.tokenFile: ${join(folder, 'none')}: there is no such file`,
  ]);
  expect(problemsOf(() => load(changed('rootCredentials.file', 'kms')))).toEqual([
    `rootCredentials.file: ${join(folder, 'kms')}: cannot be read (not a regular file)`,
  ]);
  write('large', 'x'.repeat((1 << 20) + 1));
  expect(problemsOf(() => load(changed('rootCredentials.file', 'large')))).toEqual([
    `rootCredentials.file: ${join(folder, 'large')}: cannot be read (larger than 1 MiB)`,
  ]);
});

test('a second connection of the same name is refused', () => {
  const { kmsConnections } = parse(EXAMPLE) as { kmsConnections: unknown[] };
  expect(problemsOf(() => load(changed('kmsConnections', [...kmsConnections, ...kmsConnections])))).toEqual([
    'kmsConnections[1].name: team-a/keysecure is already taken',
  ]);
});

test('the default connection must be one of kmsConnections, unless a folder may bring it', () => {
  const text = changed('defaultKmsConnection', 'other');
  expect(load(text).warnings).toEqual([
    'defaultKmsConnection: there is no connection other yet: encrypted buckets cannot be made over S3',
  ]);
  expect(problemsOf(() => load(text.replace(/^connectionsDir:.*$/m, '')))).toEqual([
    'defaultKmsConnection: must be the name of one of kmsConnections',
  ]);
});

test('up to four admin tokens are valid, one a line', () => {
  const [first, second] = ['A'.repeat(40), 'B'.repeat(40)];
  write('tokens', `${first}\n${second}\n`);
  expect(load(changed('admin.tokenFile', 'tokens')).settings.admin.tokens).toEqual([first, second]);
  for (const unfit of [`${first}\nshort`, `${first}\n`.repeat(5)]) {
    write('tokens', unfit);
    expect(problemsOf(() => load(changed('admin.tokenFile', 'tokens')))).toHaveLength(1);
  }
});

test('every problem is reported at once', () => {
  const text = changed('log.level', 'loud').replace('region: us-east-1', 'region: ""');
  expect(problemsOf(() => load(text))).toHaveLength(2);
});

test('what is not YAML is refused with its line; bombs and duplicates too', () => {
  expect(problemsOf(() => load('a: 1\nb: [1'))).toEqual([expect.stringMatching(/^line 2, column \d+: /)]);
  expect(problemsOf(() => load('kind: a\nkind: b'))).toEqual([expect.stringMatching(/^line 2, column 1: /)]);
  const bomb = `a: &a [${'x,'.repeat(50)}]\nb: &b [${'*a,'.repeat(50)}]\nc: [${'*b,'.repeat(50)}]`;
  expect(problemsOf(() => load(bomb))).toEqual(['too many YAML aliases']);
  expect(problemsOf(() => load(''))).toEqual(['must be a mapping']);
});

test('a missing configuration file says so', () => {
  expect(problemsOf(() => loadConfig(join(folder, 'missing.yaml')))).toEqual(['there is no such file']);
});

test('secret files that others can read are allowed with a warning', () => {
  chmodSync(join(folder, 'root.json'), 0o644);
  expect(load(EXAMPLE).warnings).toEqual([
    `rootCredentials.file: ${join(folder, 'root.json')} can be read by everyone or changed by its group: chmod 600 it`,
  ]);
  chmodSync(join(folder, 'root.json'), 0o600);
});

test('an expired certificate is allowed with a warning', () => {
  write('sealgate.yaml', EXAMPLE);
  const { warnings } = loadConfig(join(folder, 'sealgate.yaml'), { nowMs: Date.now() + 31 * 86_400_000 });
  expect(warnings).toEqual([
    expect.stringMatching(/^s3\.tls\.certFile: the certificate expired on .* GMT$/),
    expect.stringMatching(/^admin\.tls\.certFile: the certificate expired on /),
    expect.stringMatching(/^kmsConnections\[0\]\.kmip\.tls\.certFile: the certificate expired on /),
    expect.stringMatching(/^kmsConnections\[0\]\.kmip\.tls\.caFile: the certificate expired on /),
  ]);
});

test('the hash follows the file and the files that it names', () => {
  const before = load(EXAMPLE).hash;
  expect(load(EXAMPLE).hash).toBe(before);
  expect(load(`${EXAMPLE}# more\n`).hash).not.toBe(before);
  write('admin.token', 'U'.repeat(40));
  expect(load(EXAMPLE).hash).not.toBe(before);
  write('admin.token', FILES['admin.token']);
});
