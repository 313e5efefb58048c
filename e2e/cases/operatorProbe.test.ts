/** The operator's probe against a real KMIP server: what a connection's status says when something is wrong. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../dataplane/keys/clock.ts';
import type { KmsConnectionSettings } from '../../dataplane/keys/settings.ts';
import { type EndpointProbe, probeConnection } from '../../operator/kms/probe.ts';
import { makeCertificates, makeClientCertificate } from '../harness/certificates.ts';
import { type Pykmip, startPykmip } from '../harness/pykmip.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'sealgate-probe-'));
let pykmip: Pykmip;
let tls: Readonly<
  Record<'ours' | 'otherAuthority' | 'otherClient' | 'expired', KmsConnectionSettings['tls']>
>;

const read = (file: string): string => readFileSync(file, 'utf8');

beforeAll(async () => {
  pykmip = await startPykmip({ folder });
  const { folder: certificates, ca, caKey, clientCert, clientKey } = pykmip.certificates;
  const other = await makeCertificates(path.join(folder, 'other'));
  const old = await makeClientCertificate({ folder: certificates, ca, caKey }, 'expired', -1);
  const ours = { cert: read(clientCert), key: read(clientKey), ca: read(ca) };
  tls = {
    ours,
    otherAuthority: { ...ours, ca: read(other.ca) },
    otherClient: { ...ours, cert: read(other.client.cert), key: read(other.client.key) },
    expired: { ...ours, cert: read(old.cert), key: read(old.key) },
  };
});

afterAll(async () => {
  await pykmip.kill();
  rmSync(folder, { recursive: true });
});

async function probe(changes: Partial<KmsConnectionSettings> = {}): Promise<EndpointProbe | undefined> {
  const settings: KmsConnectionSettings = {
    name: 'team-a/kms',
    endpoints: [{ host: pykmip.host, port: pykmip.port }],
    tls: tls.ours,
    protocol: { min: '1.1', max: '1.4' },
    keyNamePrefix: 'sealgate',
    objectGroup: true,
    timeouts: { connectMs: 2_000, requestMs: 2_000, totalMs: 5_000 },
    cache: { ttlMs: 0, staleLimitMs: 0 },
    ...changes,
  };
  const [found] = await probeConnection(settings, {
    clock: systemClock,
    wallNow: Date.now,
    observe: () => undefined,
  });
  return found;
}

test('in order: up, with version and vendor, again and again', async () => {
  for (let round = 0; round < 3; round += 1) {
    expect(await probe()).toMatchObject({ verdict: 'Up', message: null, protocolVersion: '1.4' });
  }
});

test.each([
  ['an authority that did not issue its certificate', 'otherAuthority', 'TlsFailed'],
  ['a client certificate of another authority', 'otherClient', 'AuthenticationFailed'],
  ['a client certificate that has expired', 'expired', 'AuthenticationFailed'],
] as const)('with %s', async (_what, which, verdict) => {
  expect(await probe({ tls: tls[which] })).toMatchObject({ verdict });
});

test('under a name that its certificate does not have', async () => {
  const endpoints = [{ host: pykmip.host, port: pykmip.port, serverName: 'kms.example.com' }];
  expect(await probe({ endpoints })).toMatchObject({ verdict: 'TlsFailed' });
});

test('at a port where nothing listens', async () => {
  const endpoints = [{ host: '127.0.0.1', port: 1 }];
  expect(await probe({ endpoints })).toMatchObject({ verdict: 'Unreachable' });
});

test('the same cause says the same words', async () => {
  const first = await probe({ tls: tls.otherAuthority });
  expect(await probe({ tls: tls.otherAuthority })).toEqual(first);
});
