import { expect, test } from 'vitest';
import { parseKMSConnection } from '../../crds/kmsconnection.ts';
import { testCertificate } from '../admin/certificate.testkit.ts';
import { connectionFiles, fileNames, settingsIn, shardOf } from './connectionFile.ts';
import type { Material } from './material.ts';

const KEY = { namespace: 'team-a', name: 'keysecure' };
const { cert, key } = testCertificate('sealgate');
const MATERIAL: Material = { cert, key, ca: cert, credentials: null, notAfterMs: 0 };

function specOf(kmip: object = {}, more: object = {}) {
  return parseKMSConnection({
    apiVersion: 'sealgate.io/v1alpha1',
    kind: 'KMSConnection',
    metadata: KEY,
    spec: {
      provider: 'KMIP',
      kmip: { endpoints: [{ host: 'ks1' }], tls: { secretRef: { name: 'client' } }, ...kmip },
      ...more,
    },
  }).spec;
}

test('a connection is one document beside its certificates, as the data plane reads it', () => {
  const spec = specOf({
    endpoints: [
      { host: 'ks1', serverName: 'ks.example.com' },
      { host: 'ks2', port: 1, tier: 1 },
    ],
  });
  const { files, revision } = connectionFiles(KEY, spec, MATERIAL);
  expect(Object.keys(files).toSorted()).toEqual([
    'team-a.keysecure.ca.crt',
    'team-a.keysecure.json',
    'team-a.keysecure.tls.crt',
    'team-a.keysecure.tls.key',
  ]);
  expect(JSON.parse(files['team-a.keysecure.json'] ?? '')).toEqual({
    name: 'team-a/keysecure',
    provider: 'KMIP',
    kmip: {
      endpoints: [
        { host: 'ks1', port: 5696, tier: 0, serverName: 'ks.example.com' },
        { host: 'ks2', port: 1, tier: 1 },
      ],
      tls: {
        certFile: 'team-a.keysecure.tls.crt',
        keyFile: 'team-a.keysecure.tls.key',
        caFile: 'team-a.keysecure.ca.crt',
      },
      profile: 'Generic',
      keyNamePrefix: 'sealgate',
      objectGroup: true,
      timeouts: { connect: '3s', request: '5s', total: '10s' },
    },
    keyAccess: 'Fetch',
    cache: { ttl: '5m', staleLimit: '1h' },
    revision,
  });
});

test('the revision changes with anything that is rendered, and with nothing else', () => {
  const revisionOf = (spec = specOf(), material = MATERIAL): string =>
    connectionFiles(KEY, spec, material).revision;
  const changed = [
    revisionOf(),
    revisionOf(specOf({ endpoints: [{ host: 'ks2' }] })),
    revisionOf(specOf({ profile: 'PyKMIP' })),
    revisionOf(specOf({}, { cache: { ttl: '1m' } })),
    revisionOf(specOf(), { ...MATERIAL, ca: `${cert}\n` }),
    revisionOf(specOf(), { ...MATERIAL, credentials: { username: 'u', password: 'p' } }),
    revisionOf(specOf(), { ...MATERIAL, credentials: { username: 'u', password: 'q' } }),
  ];
  expect(new Set(changed).size).toBe(changed.length);
  expect(revisionOf(specOf({}, { allowedNamespaces: { from: 'All' } }))).toBe(revisionOf());
  expect(revisionOf(specOf(), { ...MATERIAL, notAfterMs: 1 })).toBe(revisionOf());
});

test('what is rendered can be read back for a probe', () => {
  const material = { ...MATERIAL, credentials: { username: 'u', password: 'p' } };
  const { files, revision } = connectionFiles(KEY, specOf({ profile: 'KeySecureClassic' }), material);
  const read = settingsIn(KEY, files);
  expect(read?.revision).toBe(revision);
  expect(read?.settings).toMatchObject({
    name: 'team-a/keysecure',
    tls: { cert, key, ca: cert },
    credentials: { username: 'u', password: 'p' },
    protocol: { min: '1.1', max: '1.3' },
    separateMessages: true,
    timeouts: { connectMs: 3_000, requestMs: 5_000, totalMs: 10_000 },
    cache: { ttlMs: 300_000, staleLimitMs: 3_600_000 },
  });
});

test.each(Object.values(fileNames(KEY)).filter((name) => !name.endsWith('credentials.json')))(
  'without %s nothing usable is in force',
  (name) => {
    const { files } = connectionFiles(KEY, specOf(), MATERIAL);
    const { [name]: _gone, ...rest } = files;
    expect(settingsIn(KEY, rest)).toBeNull();
  },
);

test('connections are spread over the sixteen shards by their names', () => {
  expect(shardOf(KEY)).toMatch(/^[0-9a-f]$/);
  const shards = Array.from({ length: 400 }, (_, n) => shardOf({ namespace: 'a', name: `c${n}` }));
  expect(new Set(shards).size).toBe(16);
});

test('no two names share a file, unless one ends in .credentials', () => {
  const files = (name: string): string[] => Object.values(fileNames({ namespace: 'team-a', name }));
  const endings = files('x').map((file) => file.slice('team-a.x.'.length));
  // Whatever follows a name in a file's name could be a part of another connection's name.
  const names = endings.flatMap((ending) =>
    ending.split('.').map((_, parts) => ['x', ...ending.split('.').slice(0, parts)].join('.')),
  );
  const others = [...new Set([...names, ...endings.map((ending) => `x.${ending}`)])].filter(
    (name) => name !== 'x',
  );
  expect(others).toEqual(expect.arrayContaining(['x.tls', 'x.credentials', 'x.credentials.json']));
  const shared = others.filter((name) => files(name).some((file) => files('x').includes(file)));
  expect(shared).toEqual(['x.credentials']);
});
