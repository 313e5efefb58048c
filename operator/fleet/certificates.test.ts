import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { type Authority, advanceAuthority, authorityFiles, readAuthority, trustBundle } from './authority.ts';
import {
  isNotYetValid,
  isPair,
  issueServingCertificate,
  makeCa,
  needsRenewal,
  type PemPair,
  renewalDueMs,
  serves,
} from './certificates.ts';

const DAY_MS = 24 * 3_600_000;
const NAMES = {
  commonName: 'sealgate.storage.svc',
  dnsNames: ['sealgate.storage.svc', 's3.example.com', '*.s3.example.com'],
  ipAddresses: ['127.0.0.1', '10.96.0.17', 'fd00::11'],
};

/** A real handshake; resolves to the error code of the client, or null. */
async function handshake(pair: PemPair, trusted: string, servername: string): Promise<string | null> {
  const server = createServer({ cert: pair.cert, key: pair.key }, (socket) => socket.end());
  server.on('tlsClientError', () => undefined); // the client tells what was wrong
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ended = Promise.withResolvers<string | null>();
  const client = connect({ port, host: '127.0.0.1', ca: trusted, servername }, () => ended.resolve(null));
  client.on('error', (error: NodeJS.ErrnoException) => ended.resolve(error.code ?? error.message));
  const outcome = await ended.promise;
  client.destroy();
  server.close();
  return outcome;
}

function openssl(files: Record<string, string>, args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'sealgate-certificates-'));
  try {
    for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
    return execFileSync('openssl', args, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe('a serving certificate', () => {
  it('is accepted in a handshake by who trusts its authority, for its names alone', async () => {
    const ca = await makeCa('sealgate', Date.now());
    const other = await makeCa('sealgate', Date.now());
    const pair = await issueServingCertificate(ca, { ...NAMES, nowMs: Date.now() });
    expect(await handshake(pair, ca.cert, 'sealgate.storage.svc')).toBeNull();
    expect(await handshake(pair, ca.cert, 'photos.s3.example.com')).toBeNull();
    expect(await handshake(pair, ca.cert, 'elsewhere.example.com')).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
    expect(await handshake(pair, other.cert, 'sealgate.storage.svc')).toBe('UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    expect(new X509Certificate(pair.cert).checkIP('10.96.0.17')).toBe('10.96.0.17');
    expect(new X509Certificate(pair.cert).checkIP('fd00::11')).toBe('fd00::11');
  });

  it('passes the strict verification of openssl as a server, and not as a client', async () => {
    const ca = await makeCa('sealgate', Date.now());
    const pair = await issueServingCertificate(ca, { ...NAMES, nowMs: Date.now() });
    const files = { 'ca.pem': ca.cert, 'leaf.pem': pair.cert };
    const verify = ['verify', '-x509_strict', '-CAfile', 'ca.pem', '-purpose'];
    expect(openssl(files, [...verify, 'sslserver', '-verify_ip', '10.96.0.17', 'leaf.pem'])).toContain('OK');
    expect(() => openssl(files, [...verify, 'sslclient', 'leaf.pem'])).toThrow(
      'unsuitable certificate purpose',
    );
  });

  it('is due when two thirds of its 90 days are over, and never outlives its authority', async () => {
    const now = Date.UTC(2026, 0, 1);
    const ca = await makeCa('sealgate', now);
    const pair = await issueServingCertificate(ca, { ...NAMES, nowMs: now });
    expect(needsRenewal(pair.cert, now + 59.9 * DAY_MS)).toBe(false);
    expect(needsRenewal(pair.cert, now + 60.1 * DAY_MS)).toBe(true);
    const late = await issueServingCertificate(ca, { ...NAMES, nowMs: now + 3_640 * DAY_MS });
    expect(new X509Certificate(late.cert).validTo).toBe(new X509Certificate(ca.cert).validTo);
  });

  it('is due when it was made under a clock that was ahead by more than the clients may be behind', async () => {
    const now = Date.UTC(2026, 0, 1);
    const ca = await makeCa('sealgate', now);
    const made = async (aheadMs: number) =>
      (await issueServingCertificate(ca, { ...NAMES, nowMs: now + aheadMs })).cert;
    expect(needsRenewal(await made(4 * 60_000), now)).toBe(false);
    expect(needsRenewal(await made(DAY_MS), now)).toBe(true);
  });

  it('is replaced when names, authority or key are others', async () => {
    const now = Date.now();
    const ca = await makeCa('sealgate', now);
    const other = await makeCa('sealgate', now);
    const pair = await issueServingCertificate(ca, { ...NAMES, nowMs: now });
    expect(serves(pair, ca, NAMES)).toBe(true);
    expect(serves(pair, other, NAMES)).toBe(false);
    expect(serves(pair, ca, { ...NAMES, ipAddresses: ['10.96.0.18'] })).toBe(false);
    expect(serves(pair, ca, { ...NAMES, dnsNames: NAMES.dnsNames.slice(1) })).toBe(false);
    expect(serves({ cert: pair.cert, key: ca.key }, ca, NAMES)).toBe(false);
    expect(isPair({ cert: 'none', key: 'none' })).toBe(false);
  });
});

describe('the authority', () => {
  it('is announced for 30 days before it signs, and remembered after', async () => {
    const born = Date.UTC(2026, 0, 1);
    const first = await advanceAuthority(null, 'sealgate', born);
    expect(await advanceAuthority(first, 'sealgate', born + 365 * DAY_MS)).toBe(first);

    const dueMs = renewalDueMs(first.current.cert);
    const announced = await advanceAuthority(first, 'sealgate', dueMs);
    expect(announced.current).toEqual(first.current);
    expect(announced.next).not.toBeNull();
    expect(trustBundle(announced)).toBe(first.current.cert + (announced.next?.cert ?? ''));
    expect(await advanceAuthority(announced, 'sealgate', dueMs + 29 * DAY_MS)).toBe(announced);

    const changed = await advanceAuthority(announced, 'sealgate', dueMs + 30 * DAY_MS);
    expect(changed).toEqual({ current: announced.next, next: null, previous: first.current.cert });
    expect(await advanceAuthority(changed, 'sealgate', dueMs + 89 * DAY_MS)).toBe(changed);
    const forgotten = await advanceAuthority(changed, 'sealgate', dueMs + 90 * DAY_MS);
    expect(forgotten).toEqual({ current: changed.current, next: null, previous: null });
  });

  it('leaves no moment in which a client with the bundle of ten days before is refused', async () => {
    let authority: Authority = await advanceAuthority(null, 'sealgate', Date.now());
    const dueMs = renewalDueMs(authority.current.cert);
    let bundle = trustBundle(authority);
    let leaf = await issueServingCertificate(authority.current, { ...NAMES, nowMs: dueMs });
    for (let day = 0; day <= 100; day += 10) {
      const nowMs = dueMs + day * DAY_MS;
      authority = await advanceAuthority(authority, 'sealgate', nowMs);
      if (!serves(leaf, authority.current, NAMES)) {
        leaf = await issueServingCertificate(authority.current, { ...NAMES, nowMs });
      }
      const at = String(Math.floor(nowMs / 1_000));
      const files = { 'bundle.pem': bundle, 'leaf.pem': leaf.cert };
      expect(
        openssl(files, [
          'verify',
          '-attime',
          at,
          '-CAfile',
          'bundle.pem',
          '-purpose',
          'sslserver',
          'leaf.pem',
        ]),
      ).toContain('OK');
      bundle = trustBundle(authority);
    }
  });

  it('is the same after it was written and read', async () => {
    const first = await advanceAuthority(null, 'sealgate', Date.now());
    const announced = await advanceAuthority(first, 'sealgate', renewalDueMs(first.current.cert));
    const remembered = { ...announced, previous: first.current.cert };
    expect(readAuthority(authorityFiles(remembered))).toEqual(remembered);
    expect(readAuthority({})).toBeNull();
  });

  it('is made anew when its key cannot be used', async () => {
    const first = await advanceAuthority(null, 'sealgate', Date.now());
    const damaged = { ...first, current: { ...first.current, key: 'no key' } };
    expect((await advanceAuthority(damaged, 'sealgate', Date.now())).current.cert).not.toBe(
      first.current.cert,
    );
  });

  it('that was made under a clock that was ahead is replaced at once, and stays trusted', async () => {
    const now = Date.UTC(2026, 0, 1);
    const ahead = await advanceAuthority(null, 'sealgate', now + 365 * DAY_MS);
    const mended = await advanceAuthority(ahead, 'sealgate', now);
    expect(mended).toMatchObject({ next: null, previous: ahead.current.cert });
    expect(isNotYetValid(mended.current.cert, now)).toBe(false);
    expect(await advanceAuthority(mended, 'sealgate', now + DAY_MS)).toBe(mended);

    const born = await advanceAuthority(null, 'sealgate', now);
    const dueMs = renewalDueMs(born.current.cert);
    const announced = await advanceAuthority(born, 'sealgate', dueMs + 365 * DAY_MS);
    const again = await advanceAuthority(announced, 'sealgate', dueMs);
    expect(again.current).toEqual(born.current);
    expect(again.next).not.toEqual(announced.next);
    expect(isNotYetValid(again.next?.cert ?? '', dueMs)).toBe(false);
  });
});
