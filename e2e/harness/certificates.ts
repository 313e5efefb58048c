/**
 * Certificates for tests and the demo, made on the spot with the openssl command: one authority, a server certificate
 * for the loopback, and client certificates whose common name is the KMS user.
 *
 * Test material only: short-lived, unprotected key files. Nothing here may be used to issue real certificates.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs openssl with the words of `options`, then `more` as they are (paths may hold blanks). */
async function openssl(options: string, ...more: readonly string[]): Promise<void> {
  await run('openssl', [...options.split(' '), ...more]);
}

/** A certificate and its private key, as file paths. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** File paths of everything that makeCertificates made. */
export interface Certificates {
  readonly ca: string;
  readonly caKey: string;
  readonly server: CertificateFiles;
  readonly client: CertificateFiles;
}

/** The common name of the client certificate that makeCertificates makes: the KMS user of the gateway. */
const DEFAULT_CLIENT_NAME = 'sealgate';

const LOOPBACK = 'IP:127.0.0.1,DNS:localhost';

/** Elliptic curves, because an RSA key takes a fifth of a second to make. */
const NEW_KEY = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256';
/** The cipher suites that PyKMIP is started with want it of a server. */
const NEW_RSA_KEY = '-newkey rsa:2048 -nodes -sha256';

/**
 * Makes an authority, a server certificate, and one client certificate in `folder`. `serverNames`: as openssl writes
 * them; default: 127.0.0.1 and localhost. Rejects with openssl's own error when the command fails or is missing.
 */
export async function makeCertificates(folder: string, serverNames = LOOPBACK): Promise<Certificates> {
  await mkdir(folder, { recursive: true });
  const ca = path.join(folder, 'ca.crt');
  const caKey = path.join(folder, 'ca.key');
  const extensions =
    '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign';
  await openssl(
    `req -x509 ${NEW_KEY} -days 30 ${extensions}`,
    '-subj',
    '/CN=Sealgate test authority',
    '-keyout',
    caKey,
    '-out',
    ca,
  );
  const authority = { folder, ca, caKey };
  const [server, client] = await Promise.all([
    makeServerCertificate(authority, 'server', { subjectAltName: serverNames }),
    makeClientCertificate(authority, DEFAULT_CLIENT_NAME),
  ]);
  return { ca, caKey, server, client };
}

/** Where an authority made by makeCertificates lives, and where its certificates go. */
interface Authority {
  readonly folder: string;
  readonly ca: string;
  readonly caKey: string;
}

/** One more client certificate of the same authority: another KMS user. `days` may be short or negative to test expiry. */
export async function makeClientCertificate(
  authority: Authority,
  commonName: string,
  days = 30,
): Promise<CertificateFiles> {
  return await issue(authority, `client-${commonName}`, commonName, 'clientAuth', null, days);
}

/** Which server certificate: `days` may be negative, for one that has expired. */
export interface ServerCertificateOptions {
  readonly days?: number;
  /** As openssl writes it; default: the loopback. */
  readonly subjectAltName?: string;
}

/** One more server certificate of the same authority. */
export async function makeServerCertificate(
  authority: Authority,
  fileName: string,
  { days = 30, subjectAltName = LOOPBACK }: ServerCertificateOptions = {},
): Promise<CertificateFiles> {
  return await issue(
    authority,
    fileName,
    '127.0.0.1',
    'serverAuth',
    `subjectAltName=${subjectAltName}`,
    days,
  );
}

async function issue(
  { folder, ca, caKey }: Authority,
  fileName: string,
  commonName: string,
  extendedKeyUsage: 'serverAuth' | 'clientAuth',
  subjectAltName: string | null,
  days = 30,
): Promise<CertificateFiles> {
  const file = (extension: string) => path.join(folder, `${fileName}.${extension}`);
  const extensions = [
    'basicConstraints=critical,CA:FALSE',
    'keyUsage=critical,digitalSignature,keyEncipherment',
    `extendedKeyUsage=${extendedKeyUsage}`,
    ...(subjectAltName === null ? [] : [subjectAltName]),
  ];
  await writeFile(file('ext'), `${extensions.join('\n')}\n`);
  await openssl(
    `req -new ${extendedKeyUsage === 'serverAuth' ? NEW_RSA_KEY : NEW_KEY}`,
    '-subj',
    `/CN=${commonName}`,
    '-keyout',
    file('key'),
    '-out',
    file('csr'),
  );
  await openssl(
    `x509 -req -sha256 -days ${days} -set_serial 0x${randomBytes(15).toString('hex')}`,
    '-in',
    file('csr'),
    '-CA',
    ca,
    '-CAkey',
    caKey,
    '-extfile',
    file('ext'),
    '-out',
    file('crt'),
  );
  return { cert: file('crt'), key: file('key') };
}
