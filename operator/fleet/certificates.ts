/**
 * X.509 certificates of the fleet: a CA of its own, and the serving certificates of the S3 and the admin port (RFC 5280).
 *
 * Owns how they are made and when they are due. Must not know where they are kept. Keys are ECDSA on P-256; times are
 * milliseconds since 1970.
 */
// @peculiar/x509 finds its parts through tsyringe, which asks for this polyfill.
import 'reflect-metadata';
import { createPrivateKey, KeyObject, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const DAY_MS = 24 * 3_600_000;
const CA_LIFE_MS = 3_650 * DAY_MS;
const LEAF_LIFE_MS = 90 * DAY_MS;
/** Clocks of clients may be a little behind. */
const BACKDATED_MS = 5 * 60_000;

const KEY_ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING_ALGORITHM = { name: 'ECDSA', hash: 'SHA-256' };

/** A certificate with its private key (PKCS #8), both PEM. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** What a serving certificate is for. */
export interface ServedNames {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(KEY_ALGORITHM, true, ['sign', 'verify']);
}

function keyPem(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Positive, and random enough that two authorities never give the same (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0);
  return bytes.toString('hex');
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

function alternativeNames({ dnsNames, ipAddresses }: ServedNames): x509.SubjectAlternativeNameExtension {
  return new x509.SubjectAlternativeNameExtension([
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...ipAddresses.map((value) => ({ type: 'ip' as const, value })),
  ]);
}

/** A new authority for ten years. Each has a subject of its own, so that old and new can be told apart in one bundle. */
export async function makeCa(fleet: string, nowMs: number): Promise<PemPair> {
  const keys = await newKeys();
  const serial = serialNumber();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ O: ['Sealgate'] }, { CN: [`${fleet} CA ${serial.slice(0, 8)}`] }],
    serialNumber: serial,
    keys,
    notBefore: new Date(nowMs - BACKDATED_MS),
    notAfter: new Date(nowMs + CA_LIFE_MS),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pem(certificate), key: keyPem(keys.privateKey) };
}

/** A certificate for a TLS server, for 90 days but never longer than its authority. */
export async function issueServingCertificate(
  ca: PemPair,
  names: ServedNames & { readonly nowMs: number },
): Promise<PemPair> {
  const keys = await newKeys();
  const issuer = new x509.X509Certificate(ca.cert);
  const signingKey = await webcrypto.subtle.importKey(
    'pkcs8',
    createPrivateKey(ca.key).export({ type: 'pkcs8', format: 'der' }),
    KEY_ALGORITHM,
    false,
    ['sign'],
  );
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ O: ['Sealgate'] }, { CN: [names.commonName] }],
    issuer: issuer.subjectName,
    serialNumber: serialNumber(),
    publicKey: keys.publicKey,
    signingKey,
    notBefore: new Date(names.nowMs - BACKDATED_MS),
    notAfter: new Date(Math.min(names.nowMs + LEAF_LIFE_MS, issuer.notAfter.getTime())),
    signingAlgorithm: SIGNING_ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      alternativeNames(names),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { cert: pem(certificate), key: keyPem(keys.privateKey) };
}

/** When two thirds of its life are over. */
export function renewalDueMs(cert: string): number {
  const { notBefore, notAfter } = new x509.X509Certificate(cert);
  return notBefore.getTime() + ((notAfter.getTime() - notBefore.getTime()) * 2) / 3;
}

/** Whether it was made under a clock that was ahead: nobody accepts it yet. */
export function isNotYetValid(cert: string, nowMs: number): boolean {
  return nowMs < new x509.X509Certificate(cert).notBefore.getTime();
}

/** Whether two thirds of a certificate's life are over, or none of it has begun. */
export function needsRenewal(cert: string, nowMs: number): boolean {
  return nowMs >= renewalDueMs(cert) || isNotYetValid(cert, nowMs);
}

/** Since when it is in use, as far as the certificate itself tells. */
export function issuedMs(cert: string): number {
  return new x509.X509Certificate(cert).notBefore.getTime() + BACKDATED_MS;
}

/** Whether certificate and key belong together and can be read at all. */
export function isPair({ cert, key }: PemPair): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    if (error instanceof Error) return false; // unreadable PEM: as good as none
    throw error;
  }
}

/** Whether this very authority has signed the certificate, and the certificate is for exactly these names. */
export function serves(pair: PemPair, ca: PemPair, names: ServedNames): boolean {
  if (!isPair(pair)) return false;
  if (!new X509Certificate(pair.cert).verify(new X509Certificate(ca.cert).publicKey)) return false;
  const present = new x509.X509Certificate(pair.cert).getExtension(x509.SubjectAlternativeNameExtension);
  if (present === null) return false;
  return Buffer.from(present.value).equals(Buffer.from(alternativeNames(names).value));
}
