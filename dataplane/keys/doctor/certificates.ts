/** Certificates as the doctor reports them, and what is wrong with the client's own. Reads no files, opens nothing. */
import { X509Certificate } from 'node:crypto';
import type { Finding } from './findings.ts';
import { foreign, span, utc } from './words.ts';

/** A week more than the alerts give, to get a certificate out of a large organisation. */
export const EXPIRY_WARNING_MS = 21 * 86_400_000;

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** What the report tells about a certificate. Nothing of it is secret. */
export interface CertificateFacts {
  /** Distinguished names in one line, most general part first. */
  readonly subject: string;
  readonly issuer: string;
  /** Hexadecimal. */
  readonly serialNumber: string;
  /** Unix ms. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly subjectAltName: string | null;
  /** Object identifiers of the extended key usage; empty when the certificate has none. */
  readonly extendedKeyUsage: readonly string[];
  /** SHA-256 of the certificate, hexadecimal with colons. */
  readonly fingerprint256: string;
}

export function certificateFacts(certificate: X509Certificate): CertificateFacts {
  return {
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    serialNumber: certificate.serialNumber,
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    subjectAltName: certificate.subjectAltName === undefined ? null : foreign(certificate.subjectAltName),
    // node:crypto calls the extended key usage `keyUsage`; it is undefined when there is none.
    extendedKeyUsage: [...(certificate.keyUsage ?? [])],
    fingerprint256: certificate.fingerprint256,
  };
}

const oneLine = (name: string | undefined): string => foreign((name ?? '').trimEnd().replaceAll('\n', ', '));

/** All certificates of a PEM text. Throws when one cannot be parsed. */
export function pemCertificates(pem: string): X509Certificate[] {
  // OpenSSL takes more kinds of PEM for a certificate than one; then the first counts.
  return (pem.match(PEM_CERTIFICATE) ?? [pem]).map((text) => new X509Certificate(text));
}

/** Whether the certificate says that it is for clients. */
export const isForClients = ({ extendedKeyUsage }: CertificateFacts): boolean =>
  extendedKeyUsage.includes(CLIENT_AUTH);

/** Findings about the client certificate that need no network. */
export function clientCertificateFindings(client: CertificateFacts, nowMs: number): Finding[] {
  const { subject, issuer, serialNumber, notAfterMs, notBeforeMs } = client;
  const renew = `Issue a new client certificate for ${subject} (the old one: serial ${serialNumber}, issued by ${issuer}), and make sure that the KMS still maps it to the same user.`;
  const replace =
    'Put the new certificate and its key in the place of certFile and keyFile; a running server takes them over at the next reload, without a restart.';
  const about = { endpoints: [] };
  if (nowMs > notAfterMs) {
    return [
      {
        ...about,
        severity: 'Problem',
        code: 'ClientCertificateExpired',
        what: `The client certificate ${subject} has expired: it was valid until ${utc(notAfterMs)}, ${span(nowMs - notAfterMs)} ago.`,
        askKmsTeam: renew,
        doHere: replace,
      },
    ];
  }
  if (nowMs < notBeforeMs) {
    return [
      {
        ...about,
        severity: 'Problem',
        code: 'ClientCertificateNotYetValid',
        what: `The client certificate ${subject} is not valid yet: it becomes valid at ${utc(notBeforeMs)}, in ${span(notBeforeMs - nowMs)}, and the clock of this machine says ${utc(nowMs)}.`,
        askKmsTeam: 'If the clock of this machine is right: for a certificate that is valid now.',
        doHere: 'Compare the clock of this machine with a time server first.',
      },
    ];
  }
  const findings: Finding[] = [];
  if (notAfterMs - nowMs < EXPIRY_WARNING_MS) {
    findings.push({
      ...about,
      severity: 'Warning',
      code: 'ClientCertificateExpiresSoon',
      what: `The client certificate ${subject} expires at ${utc(notAfterMs)}, in ${span(notAfterMs - nowMs)}. From then on no encrypted bucket works.`,
      askKmsTeam: renew,
      doHere: replace,
    });
  }
  if (!isForClients(client)) {
    findings.push({
      ...about,
      severity: 'Warning',
      code: 'ClientCertificatePurpose',
      what: `The client certificate ${subject} does not say that it is for clients (extended key usage clientAuth); some KMS refuse it for that.`,
      askKmsTeam: 'for a client certificate with the extended key usage clientAuth.',
      doHere: null,
    });
  }
  return findings;
}
