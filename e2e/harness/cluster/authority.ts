/**
 * The certificates of one cluster, made with the openssl command: one authority for everything, and a certificate for
 * each server and each user. Elliptic curves, because a cluster needs a dozen of them within a second.
 *
 * Test material only: short-lived, unprotected key files.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { CertificateFiles } from '../certificates.ts';
import { runCommand } from './commands.ts';

/** Runs openssl with the words of `options`, then `more` as they are (paths may hold blanks). */
async function openssl(options: string, ...more: readonly string[]): Promise<void> {
  await runCommand(['openssl', ...options.split(' '), ...more]);
}

const NEW_CERTIFICATE = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days 30';

/** Who a certificate is for, as Kubernetes reads it: the user's name and groups. */
export interface CertificateSubject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

/** A subject as openssl wants it: '/' divides, '+' joins, so both are escaped within a name. */
export function opensslSubject({ commonName, organizations = [] }: CertificateSubject): string {
  const escaped = (name: string) => name.replaceAll(/[\\/+]/g, String.raw`\$&`);
  return `${organizations.map((name) => `/O=${escaped(name)}`).join('')}/CN=${escaped(commonName)}`;
}

/** An authority in a folder. */
export class ClusterAuthority {
  readonly folder: string;
  readonly certificate: string;
  readonly #key: string;

  /** The authority of this folder, where create() has made it. */
  constructor(folder: string) {
    this.folder = folder;
    this.certificate = path.join(folder, 'ca.crt');
    this.#key = path.join(folder, 'ca.key');
  }

  /** Makes a new authority. Rejects with ClusterError `command_failed` when openssl fails or is missing. */
  static async create(folder: string): Promise<ClusterAuthority> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const authority = new ClusterAuthority(folder);
    const extensions =
      '-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature';
    await openssl(
      `${NEW_CERTIFICATE} ${extensions}`,
      '-subj',
      '/CN=Sealgate test cluster',
      '-keyout',
      authority.#key,
      '-out',
      authority.certificate,
    );
    return authority;
  }

  /** The certificate of a user, for a kubeconfig. */
  async client(fileName: string, subject: CertificateSubject): Promise<CertificateFiles> {
    return await this.#issue(fileName, subject, ['extendedKeyUsage=clientAuth']);
  }

  /** The certificate of a server; names as openssl writes them, such as IP:127.0.0.1. */
  async server(
    fileName: string,
    subject: CertificateSubject,
    names: readonly string[],
  ): Promise<CertificateFiles> {
    return await this.#issue(fileName, subject, [
      'extendedKeyUsage=serverAuth',
      `subjectAltName=${names.join(',')}`,
    ]);
  }

  async #issue(
    fileName: string,
    subject: CertificateSubject,
    extensions: readonly string[],
  ): Promise<CertificateFiles> {
    const files = {
      cert: path.join(this.folder, `${fileName}.crt`),
      key: path.join(this.folder, `${fileName}.key`),
    };
    const all = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', ...extensions];
    await openssl(
      `${NEW_CERTIFICATE} -set_serial 0x${randomBytes(15).toString('hex')}`,
      '-CA',
      this.certificate,
      '-CAkey',
      this.#key,
      '-subj',
      opensslSubject(subject),
      ...all.flatMap((extension) => ['-addext', extension]),
      '-keyout',
      files.key,
      '-out',
      files.cert,
    );
    return files;
  }
}
