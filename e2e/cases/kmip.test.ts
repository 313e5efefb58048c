/** The key holder against a real KMIP server: what an operator sees when the KMS answers, refuses or is away. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { keyCheckValue } from '../../dataplane/crypto/dataKey.ts';
import { type KeyHolder, startKeyHolder } from '../../dataplane/keys/holder.ts';
import { type KeyProvider, type KeyRef, KmsError } from '../../dataplane/keys/keys.ts';
import type { KmsConnectionSettings } from '../../dataplane/keys/settings.ts';
import { connectKeyProvider } from '../../dataplane/keys/workerKeys.ts';
import { type CertificateFiles, makeClientCertificate } from '../harness/certificates.ts';
import { KEY_STATES, type Pykmip, startPykmip } from '../harness/pykmip.ts';

const PASSWORD = 'correct-horse-battery-staple';
const HOUR_MS = 3_600_000;
/** Enough for a served request that waits for nothing but a message between threads, on a busy machine. */
const AT_ONCE_MS = 500;

const folder = mkdtempSync(path.join(tmpdir(), 'sealgate-kmip-'));
let pykmip: Pykmip;
let stranger: CertificateFiles;
const holders: KeyHolder[] = [];
let names = 0;

beforeAll(async () => {
  pykmip = await startPykmip({ folder });
  const { folder: certificates, ca, caKey } = pykmip.certificates;
  stranger = await makeClientCertificate({ folder: certificates, ca, caKey }, 'stranger');
});
afterEach(async () => {
  await Promise.all(holders.splice(0).map(async (holder) => await holder.close()));
});
afterAll(async () => {
  await pykmip.kill();
  rmSync(folder, { recursive: true });
});

function settings(changes: Partial<KmsConnectionSettings> = {}): KmsConnectionSettings {
  return {
    name: 'kms',
    endpoints: [{ host: pykmip.host, port: pykmip.port }],
    tls: tlsOf({ cert: pykmip.certificates.clientCert, key: pykmip.certificates.clientKey }),
    credentials: { username: 'sealgate', password: PASSWORD },
    protocol: { min: '1.0', max: '1.4' },
    keyNamePrefix: 'sealgate',
    objectGroup: true,
    timeouts: { connectMs: 1000, requestMs: 1000, totalMs: 3000 },
    cache: { ttlMs: 0, staleLimitMs: 0 },
    ...changes,
  };
}

function tlsOf({ cert, key }: CertificateFiles): KmsConnectionSettings['tls'] {
  const read = (file: string) => readFileSync(file, 'utf8');
  return { cert: read(cert), key: read(key), ca: read(pykmip.certificates.ca) };
}

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

/** A holder with `workers` ports, and what it logs. */
async function start(changes: Partial<KmsConnectionSettings> = {}, workers = 1) {
  const lines: Line[] = [];
  const wanted: { message: string; seen: () => void }[] = [];
  const log = (level: string) => (fields: object, message: string) => {
    lines.push({ level, message, fields });
    for (const { seen } of wanted.filter((one) => one.message === message)) seen();
  };
  const holder = await startKeyHolder({
    connections: [settings(changes)],
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
  });
  holders.push(holder);
  const providers = Array.from({ length: workers }, () => connectKeyProvider(holder.connect()));
  const [keys] = providers;
  if (keys === undefined) throw new Error('at least one worker');
  /** Resolves when this is logged from now on. */
  const logged = async (message: string) =>
    await new Promise<void>((resolve) => wanted.push({ message, seen: resolve }));
  return { holder, keys, providers, lines, logged };
}

/** A name as the reservation of a key version makes it. */
function newName(): string {
  names += 1;
  return `sealgate-${'0'.repeat(31)}${names}-v1-0123456789abcdef`;
}

async function newKey(keys: KeyProvider): Promise<KeyRef> {
  const kmsId = await keys.createKey('kms', newName());
  return { connection: 'kms', kmsId, keyCheckValue: await keys.activateKey('kms', kmsId) };
}

async function failure(work: Promise<unknown>): Promise<KmsError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KmsError) return error;
    throw error;
  }
  throw new Error('expected a KmsError');
}

async function timed<T>(work: () => Promise<T>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

const endpointOf = async (holder: KeyHolder) => (await holder.status())[0]?.endpoints[0];

describe('protocol version', () => {
  test.each([
    [{ min: '1.0', max: '1.4' }, '1.4'],
    [{ min: '1.1', max: '1.3' }, '1.3'],
    [{ min: '1.2', max: '1.2' }, '1.2'],
    [{ min: '1.0', max: '1.0' }, '1.0'],
  ] as const)(
    'the highest of %o that the server speaks is agreed on, and works',
    async (protocol, agreed) => {
      const { holder, keys } = await start({ protocol });
      await keys.bucketKey(await newKey(keys), 'write');
      expect(await endpointOf(holder)).toMatchObject({ state: 'Up', protocolVersion: agreed });
    },
  );
});

describe('a new key', () => {
  test('is Active, AES-256, and the very bytes that the KMS keeps', async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    const key = await keys.bucketKey(ref, 'write');
    expect(key.export()).toEqual(pykmip.keyBytes(ref.kmsId));
    expect(key.symmetricKeySize).toBe(32);
    expect(ref.keyCheckValue).toBe(keyCheckValue(key).toString('hex'));
  });

  test('can be activated again, as after a lost answer', async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    expect(await keys.activateKey('kms', ref.kmsId)).toBe(ref.keyCheckValue);
  });

  test('without Object Group is made just as well', async () => {
    const { keys } = await start({ objectGroup: false });
    await keys.bucketKey(await newKey(keys), 'write');
  });
});

describe('at the end of its life', () => {
  test('a key is revoked, then only read with, then destroyed; each may be asked for again', async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    expect((await failure(keys.destroyKey('kms', ref.kmsId))).code).toBe('InvalidState');
    for (let count = 0; count < 2; count += 1) await keys.revokeKey('kms', ref.kmsId);
    await keys.bucketKey(ref, 'read');
    expect((await failure(keys.bucketKey(ref, 'write'))).code).toBe('InvalidState');
    for (let count = 0; count < 2; count += 1) await keys.destroyKey('kms', ref.kmsId);
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('NotFound');
    expect(() => pykmip.keyBytes(ref.kmsId)).toThrow();
  });

  test("another user's key is neither revoked nor destroyed", async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    pykmip.changeOwner(ref.kmsId, 'stranger');
    expect((await failure(keys.revokeKey('kms', ref.kmsId))).code).toBe('AccessDenied');
    expect((await failure(keys.destroyKey('kms', ref.kmsId))).code).toBe('AccessDenied');
    expect(pykmip.keyBytes(ref.kmsId)).toHaveLength(32);
  });
});

describe('after an unfinished attempt', () => {
  test('a Create whose answer was lost is found by its name and adopted', async () => {
    const { keys } = await start({ timeouts: { connectMs: 500, requestMs: 500, totalMs: 1000 } });
    await newKey(keys);
    const name = newName();
    const reservedMs = Date.now();
    pykmip.pause();
    const lost = await failure(keys.createKey('kms', name));
    pykmip.resume();
    expect(lost).toMatchObject({ code: 'Unavailable', maybeDone: true });
    const again = await start();
    await expect.poll(() => pykmip.keysNamed(name)).toHaveLength(1);
    const located = await again.keys.locateKey('kms', name, reservedMs);
    expect(located?.kmsId).toBe(pykmip.keysNamed(name)[0]);
    expect(await again.keys.activateKey('kms', located?.kmsId ?? '')).toMatch(/^[0-9a-f]{16}$/);
  });

  test('a Create that never left says so, and nothing is found', async () => {
    const { keys, logged } = await start();
    const down = logged('KMS endpoint is down');
    await pykmip.kill();
    const lost = await failure(keys.createKey('kms', newName()));
    await down;
    await pykmip.restart();
    expect(lost).toMatchObject({ code: 'Unavailable', maybeDone: false });
    const again = await start();
    expect(await again.keys.locateKey('kms', newName(), Date.now())).toBeNull();
  });

  test('two keys of one name are a conflict, and so is one older than the reservation', async () => {
    const { keys } = await start();
    const name = newName();
    const kmsId = await keys.createKey('kms', name);
    const nowMs = Date.now();
    expect(await keys.locateKey('kms', name, nowMs + 14 * 60_000)).toEqual({ kmsId });
    expect((await failure(keys.locateKey('kms', name, nowMs + 16 * 60_000))).code).toBe('Conflict');
    await keys.createKey('kms', name);
    expect((await failure(keys.locateKey('kms', name, nowMs))).code).toBe('Conflict');
  });
});

describe('what the KMS says about a key is obeyed', () => {
  test('Deactivated and Compromised keys read but do not write, the latter with an alarm', async () => {
    const { holder, keys, lines } = await start();
    const ref = await newKey(keys);
    for (const state of [KEY_STATES.deactivated, KEY_STATES.compromised]) {
      pykmip.setState(ref.kmsId, state);
      expect((await keys.bucketKey(ref, 'read')).type).toBe('secret');
      expect((await failure(keys.bucketKey(ref, 'write'))).code).toBe('InvalidState');
    }
    expect(lines.filter(({ level }) => level === 'error').map(({ message }) => message)).toEqual([
      'ALARM: the KMS marks a bucket key as compromised; it serves reads only',
    ]);
    expect(await metric(holder, 'sealgate_kms_compromised_keys')).toBe(1);
    pykmip.setState(ref.kmsId, KEY_STATES.active);
    await keys.bucketKey(ref, 'write');
  });

  test('a Pre-Active key is unusable although the server hands it out', async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    pykmip.setState(ref.kmsId, KEY_STATES.preActive);
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('InvalidState');
  });

  test('a key that is gone is NotFound', async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    pykmip.removeKey(ref.kmsId);
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('NotFound');
  });

  test('a key of another owner is AccessDenied, and usable again when it is given back', async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    pykmip.changeOwner(ref.kmsId, 'stranger');
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('AccessDenied');
    pykmip.changeOwner(ref.kmsId, 'sealgate');
    await keys.bucketKey(ref, 'read');
  });

  test('altered key bytes are KeyMismatch and never used, with an alarm', async () => {
    const { holder, keys, lines } = await start();
    const ref = await newKey(keys);
    pykmip.alterKeyBytes(ref.kmsId);
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('KeyMismatch');
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
    expect(await metric(holder, 'sealgate_kms_key_mismatches_total')).toBe(1);
  });
});

describe('the cache', () => {
  const cache = { ttlMs: 300_000, staleLimitMs: HOUR_MS };

  test('1,000 reads and 1,000 writes over two workers cost at most 10 KMIP requests', async () => {
    const before = pykmip.requestCount();
    const { keys, providers } = await start({ cache }, 2);
    const ref = await newKey(keys);
    for (const use of ['read', 'write'] as const) {
      await Promise.all(
        Array.from({ length: 1000 }, async (_, index) => await providers[index % 2]?.bucketKey(ref, use)),
      );
    }
    const requests = pykmip.requestCount() - before;
    expect(requests).toBeGreaterThan(0);
    expect(requests).toBeLessThanOrEqual(10);
  });

  test('a time to live of zero asks on every call', async () => {
    const { keys } = await start();
    const ref = await newKey(keys);
    const before = pykmip.requestCount('Get');
    for (let call = 0; call < 5; call += 1) await keys.bucketKey(ref, 'read');
    expect(pykmip.requestCount('Get') - before).toBe(5);
  });

  test('a revoked right takes effect in every worker when the connection is flushed', async () => {
    const { holder, keys, providers } = await start({ cache }, 2);
    const ref = await newKey(keys);
    for (const provider of providers) await provider.bucketKey(ref, 'read');
    pykmip.changeOwner(ref.kmsId, 'stranger');
    for (const provider of providers) await provider.bucketKey(ref, 'read');
    await holder.flush('kms');
    for (const provider of providers) {
      await expect
        .poll(async () => (await failure(provider.bucketKey(ref, 'read'))).code)
        .toBe('AccessDenied');
    }
  });
});

describe('when the KMS is away', () => {
  afterEach(async () => {
    pykmip.resume();
    await pykmip.restart();
  });

  test('keys inside the stale limit serve at once, new keys are Unavailable, and all works again when it is back', async () => {
    const { holder, keys, lines, logged } = await start({ cache: { ttlMs: 0, staleLimitMs: HOUR_MS } });
    const ref = await newKey(keys);
    const unknown = { ...ref, kmsId: '999999' };
    const down = logged('KMS endpoint is down');
    const up = logged('KMS endpoint is up');
    await pykmip.kill();
    for (let call = 0; call < 20; call += 1) {
      expect(await timed(async () => await keys.bucketKey(ref, 'write'))).toBeLessThan(AT_ONCE_MS);
    }
    await down;
    expect(
      await timed(async () =>
        expect((await failure(keys.bucketKey(unknown, 'read'))).code).toBe('Unavailable'),
      ),
    ).toBeLessThan(AT_ONCE_MS);
    expect(await endpointOf(holder)).toMatchObject({ state: 'Down' });
    expect(await metric(holder, 'sealgate_kms_endpoint_up')).toBe(0);
    await pykmip.restart();
    await up;
    expect((await failure(keys.bucketKey(unknown, 'read'))).code).toBe('NotFound');
    await keys.bucketKey(ref, 'write');
    expect(lines.filter(({ message }) => message === 'KMS endpoint is down')).toHaveLength(1);
  });

  test('a KMS that hangs delays only the first requests, by a second at most', async () => {
    const { keys } = await start({ cache: { ttlMs: 0, staleLimitMs: HOUR_MS } });
    const ref = await newKey(keys);
    pykmip.pause();
    expect(await timed(async () => await keys.bucketKey(ref, 'read'))).toBeLessThan(1000 + AT_ONCE_MS);
    await expect
      .poll(async () => await timed(async () => await keys.bucketKey(ref, 'read')), { timeout: 8000 })
      .toBeLessThan(50);
  });

  test('a stale limit of zero fails closed', async () => {
    const { keys } = await start({ cache: { ttlMs: 0, staleLimitMs: 0 } });
    const ref = await newKey(keys);
    await pykmip.kill();
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('Unavailable');
  });

  test('a holder that starts without it works once it is there', async () => {
    await pykmip.kill();
    const { keys, logged } = await start();
    const up = logged('KMS endpoint is up');
    expect((await failure(keys.createKey('kms', newName()))).code).toBe('Unavailable');
    await pykmip.restart();
    await up;
    await newKey(keys);
  });
});

describe('settings', () => {
  test('a changed client certificate takes effect without restart, for keys in the cache too', async () => {
    const { holder, keys } = await start({ cache: { ttlMs: 300_000, staleLimitMs: HOUR_MS } });
    const ref = await newKey(keys);
    await keys.bucketKey(ref, 'read');
    // Without a stale limit: a KMS that takes its time must not be bridged with the key of before.
    await holder.updateConnections([
      settings({ tls: tlsOf(stranger), cache: { ttlMs: 1, staleLimitMs: 0 } }),
    ]);
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('AccessDenied');
    await holder.updateConnections([settings()]);
    await keys.bucketKey(ref, 'read');
  });

  test('a removed connection is UnknownConnection; unusable settings change nothing', async () => {
    const { holder, keys } = await start();
    const ref = await newKey(keys);
    const broken = settings({ tls: { ...settings().tls, key: 'no key' } });
    expect((await failure(holder.updateConnections([broken]))).code).toBe('Refused');
    await keys.bucketKey(ref, 'read');
    await holder.updateConnections([]);
    expect((await failure(keys.bucketKey(ref, 'read'))).code).toBe('UnknownConnection');
  });

  test.each([
    [
      'an authority that did not sign the server',
      () => ({ tls: { ...settings().tls, ca: settings().tls.cert } }),
    ],
    [
      'another server name',
      () => ({ endpoints: [{ host: pykmip.host, port: pykmip.port, serverName: 'ks1.example.com' }] }),
    ],
  ])('%s: the server is not spoken to', async (_what, changes) => {
    const before = pykmip.requestCount();
    const { keys } = await start(changes());
    expect((await failure(keys.createKey('kms', newName()))).code).toBe('Unavailable');
    expect(pykmip.requestCount()).toBe(before);
  });
});

test('no key and no password is in a log line, an error, the status or the metrics', async () => {
  const { holder, keys, lines } = await start({ cache: { ttlMs: 0, staleLimitMs: HOUR_MS } });
  const ref = await newKey(keys);
  const errors: KmsError[] = [await failure(keys.bucketKey({ ...ref, kmsId: '999999' }, 'read'))];
  pykmip.alterKeyBytes(ref.kmsId);
  errors.push(await failure(keys.bucketKey(ref, 'read')));
  const bytes = [pykmip.keyBytes(ref.kmsId), Buffer.from(PASSWORD)];
  const output = JSON.stringify([
    lines,
    errors.map((error) => [error.message, error.stack]),
    await holder.status(),
    await holder.metrics(),
  ]);
  expect(output).toContain(ref.kmsId);
  for (const secret of bytes) {
    for (const form of [secret.toString('hex'), secret.toString('base64'), secret.toString('latin1')]) {
      expect(output).not.toContain(form);
    }
  }
});

test('when the holder is closed its workers are told', async () => {
  const { holder, keys } = await start();
  await holder.close();
  await expect.poll(async () => (await failure(keys.createKey('kms', newName()))).code).toBe('Unavailable');
});

/** The sum over all label values. */
async function metric(holder: KeyHolder, name: string): Promise<number> {
  const found = (await holder.metrics()).find((one) => one.name === name);
  if (found === undefined) throw new Error(`no metric ${name}`);
  return found.values.reduce((sum, { value }) => sum + value, 0);
}
