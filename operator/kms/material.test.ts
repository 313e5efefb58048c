import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseKMSConnection } from '../../crds/kmsconnection.ts';
import { testCertificate } from '../admin/certificate.testkit.ts';
import { ApiServer } from '../kube/apiServer.testkit.ts';
import { startFakeCluster } from '../kube/fakeCluster.testkit.ts';
import { CONFIG_MAP, SECRET } from '../kube/kinds.ts';
import { type Material, MaterialError, readMaterial } from './material.ts';

const NAMESPACE = 'team-a';
const YEAR_MS = 365 * 86_400_000;
const client = testCertificate('sealgate', { days: 365 });
const other = testCertificate('other');
const authority = testCertificate('authority');

const base64 = (text: string): string => Buffer.from(text).toString('base64');

type Content = Readonly<Record<string, string | null>>;

const PAIR: Content = { 'tls.crt': client.cert, 'tls.key': client.key, 'ca.crt': authority.cert };

async function read(
  content: Content | null,
  kmip: object = {},
  {
    nowMs = Date.now(),
    more = [],
  }: {
    readonly nowMs?: number;
    readonly more?: readonly (readonly ['Secret' | 'ConfigMap', string, Content])[];
  } = {},
): Promise<Material> {
  const api = new ApiServer();
  const put = (kind: 'Secret' | 'ConfigMap', name: string, texts: Content): void => {
    const data = Object.fromEntries(
      Object.entries(texts).map(([key, text]) => [
        key,
        text === null || kind === 'ConfigMap' ? text : base64(text),
      ]),
    );
    api.edit(kind === 'Secret' ? SECRET : CONFIG_MAP, { namespace: NAMESPACE, name }, { data });
  };
  if (content !== null) put('Secret', 'client', content);
  for (const one of more) put(...one);
  const { spec } = parseKMSConnection({
    apiVersion: 'sealgate.io/v1alpha1',
    kind: 'KMSConnection',
    metadata: { namespace: NAMESPACE, name: 'keysecure' },
    spec: {
      provider: 'KMIP',
      kmip: {
        endpoints: [{ host: 'kms' }],
        ...kmip,
        tls: { secretRef: { name: 'client' }, ...('tls' in kmip ? (kmip.tls as object) : {}) },
      },
    },
  });
  return await readMaterial(api, NAMESPACE, spec, nowMs, new AbortController().signal);
}

test('certificate, key and authority come from the Secret, as cert-manager writes it', async () => {
  const material = await read(PAIR);
  expect(material).toMatchObject({
    cert: client.cert,
    key: client.key,
    ca: authority.cert,
    credentials: null,
  });
  expect(Math.abs(material.notAfterMs - Date.now() - YEAR_MS)).toBeLessThan(86_400_000);
});

test.each([
  ['ConfigMap', 'ca.crt'],
  ['Secret', 'root.pem'],
] as const)('the authority may stand in a %s under %s', async (kind, key) => {
  const material = await read(
    { ...PAIR, 'ca.crt': null },
    { tls: { caBundleRef: { kind, name: 'kms-ca', key } } },
    { more: [[kind, 'kms-ca', { [key]: authority.cert }]] },
  );
  expect(material.ca).toBe(authority.cert);
});

test('credentials lose the line end that an editor left', async () => {
  const { credentials } = await read(
    PAIR,
    { credentialsSecretRef: { name: 'user' } },
    { more: [['Secret', 'user', { username: 'gateway\n', password: ' pass word \n' }]] },
  );
  expect(credentials).toEqual({ username: 'gateway', password: ' pass word ' });
});

describe('what cannot be used is told by', () => {
  const encrypted = String(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    }),
  );
  const caRef = (kind: string, key = 'ca.crt') => ({ tls: { caBundleRef: { kind, name: 'kms-ca', key } } });
  const user = { credentialsSecretRef: { name: 'user' } };
  test.each<[string, string, Parameters<typeof read>]>([
    ['SecretNotFound', 'no Secret', [null]],
    ['SecretInvalid', 'no certificate', [{ ...PAIR, 'tls.crt': null }]],
    ['SecretInvalid', 'an empty certificate', [{ ...PAIR, 'tls.crt': '' }]],
    ['SecretInvalid', 'no key', [{ ...PAIR, 'tls.key': null }]],
    ['SecretInvalid', 'a certificate that is none', [{ ...PAIR, 'tls.crt': 'nonsense' }]],
    ['SecretInvalid', 'a key that is none', [{ ...PAIR, 'tls.key': 'nonsense' }]],
    ['SecretInvalid', 'a key with a password', [{ ...PAIR, 'tls.key': encrypted }]],
    ['SecretInvalid', "another certificate's key", [{ ...PAIR, 'tls.key': other.key }]],
    [
      'SecretInvalid',
      'a certificate above the cap',
      [{ ...PAIR, 'tls.crt': client.cert.padEnd(17_000, '\n') }],
    ],
    ['SecretInvalid', 'a key above the cap', [{ ...PAIR, 'tls.key': client.key.padEnd(17_000, '\n') }]],
    ['CertificateExpired', 'a certificate that has ended', [PAIR, {}, { nowMs: Date.now() + 2 * YEAR_MS }]],
    ['CertificateNotYetValid', 'one that begins later', [PAIR, {}, { nowMs: Date.now() - YEAR_MS }]],
    ['CaNotFound', 'no authority', [{ ...PAIR, 'ca.crt': null }]],
    ['CaNotFound', 'no ConfigMap', [PAIR, caRef('ConfigMap')]],
    ['CaNotFound', 'no Secret of the authority', [PAIR, caRef('Secret')]],
    ['CaNotFound', 'no such entry', [PAIR, caRef('Secret', 'x'), { more: [['Secret', 'kms-ca', {}]] }]],
    ['CaInvalid', 'an authority that is none', [{ ...PAIR, 'ca.crt': 'nonsense' }]],
    ['CaInvalid', 'an authority above the cap', [{ ...PAIR, 'ca.crt': authority.cert.padEnd(66_000, '\n') }]],
    ['CredentialsNotFound', 'no credentials', [PAIR, user]],
    ['CredentialsInvalid', 'no password', [PAIR, user, { more: [['Secret', 'user', { username: 'u' }]] }]],
    [
      'CredentialsInvalid',
      'an empty user',
      [PAIR, user, { more: [['Secret', 'user', { username: '\n', password: 'p' }]] }],
    ],
  ])('%s: %s', async (reason, _what, [content, kmip, options]) => {
    const error: unknown = await read(content, kmip, options).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(MaterialError);
    expect(error).toMatchObject({ reason });
    expect(String(error)).not.toMatch(/BEGIN|nonsense/);
  });

  const { spec } = parseKMSConnection({
    apiVersion: 'sealgate.io/v1alpha1',
    kind: 'KMSConnection',
    metadata: { name: 'kms', namespace: NAMESPACE },
    spec: {
      provider: 'KMIP',
      kmip: { endpoints: [{ host: 'ks1' }], tls: { secretRef: { name: 'client' } } },
    },
  });

  test.each([
    [403, { reason: 'SecretNotFound' }],
    [401, { code: 'Unavailable', status: 401 }],
  ])('what is answered %s counts as missing only when we may not read it', async (status, error) => {
    const cluster = await startFakeCluster();
    try {
      cluster.server.fail(() => true, { status }, 2);
      const reading = readMaterial(cluster.client, NAMESPACE, spec, 0, new AbortController().signal);
      await expect(reading).rejects.toMatchObject(error);
    } finally {
      await cluster.close();
    }
  });
});
