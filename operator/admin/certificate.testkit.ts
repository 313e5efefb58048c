/** Self-signed certificates for unit tests, made on the spot with the openssl command. Their keys protect nothing. */
import { execFileSync } from 'node:child_process';

export interface TestCertificate {
  /** PEM texts. */
  readonly cert: string;
  readonly key: string;
}

/** `days` from today; `subjectAltName` as openssl writes it. */
export function testCertificate(
  commonName: string,
  { days = 36_500, subjectAltName = `DNS:${commonName}` } = {},
): TestCertificate {
  const words = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -keyout - -out -';
  const pem = execFileSync(
    'openssl',
    [
      ...words.split(' '),
      '-days',
      String(days),
      '-subj',
      `/CN=${commonName}`,
      '-addext',
      `subjectAltName=${subjectAltName}`,
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const part = (name: string): string => {
    const begin = pem.indexOf(`-----BEGIN ${name}`);
    const end = `-----END ${name}-----\n`;
    return pem.slice(begin, pem.indexOf(end) + end.length);
  };
  return { cert: part('CERTIFICATE'), key: part('PRIVATE KEY') };
}
