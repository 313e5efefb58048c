/** What a look at an endpoint's TLS means. Pure. */
import type { X509Certificate } from 'node:crypto';
import type { KmsEndpoint } from '../settings.ts';
import { type CertificateFacts, certificateFacts, EXPIRY_WARNING_MS, isForClients } from './certificates.ts';
import type { Finding, FindingCode } from './findings.ts';
import type { Handshake } from './handshake.ts';
import { span, utc } from './words.ts';

export interface HandshakeContext {
  readonly endpoint: KmsEndpoint;
  readonly client: CertificateFacts;
  /** What caFile holds. */
  readonly authorities: readonly X509Certificate[];
  readonly connectLimitMs: number;
  readonly nowMs: number;
}

interface Words {
  readonly code: FindingCode;
  readonly what: string;
  readonly askKmsTeam: string | null;
  readonly doHere?: string | null;
  readonly severity?: Finding['severity'];
}

/** Everything that is wrong with one endpoint's TLS, as far as a look at it can tell. */
export function handshakeFindings(look: Handshake, context: HandshakeContext): Finding[] {
  return words(look, context).map(({ severity = 'Problem', doHere = null, ...rest }) => ({
    ...rest,
    severity,
    doHere,
    endpoints: [addressOf(context.endpoint)],
  }));
}

export const addressOf = ({ host, port }: KmsEndpoint): string => `${host}:${port}`;

function words(look: Handshake, context: HandshakeContext): Words[] {
  if (look.reached === 'Nothing') return [unreached(look.failure ?? '', context)];
  const refusal = look.failure ?? look.refusal;
  const [server] = look.chain;
  const found: Words[] = [];
  if (look.reached === 'Tls' && server !== undefined) found.push(...serverWords(look, server, context));
  if (refusal !== null) found.push(refused(refusal, context));
  return found;
}

function unreached(code: string, { endpoint, connectLimitMs }: HandshakeContext): Words {
  const { host, port } = endpoint;
  const name = `${host}:${port}`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return {
      code: 'NameNotFound',
      what: `The name ${host} cannot be resolved on this machine (${code}).`,
      askKmsTeam: 'Which name or address does the KMIP interface have?',
      doHere: 'Check the spelling of the endpoint, and the name servers of this machine.',
    };
  }
  if (code === 'ECONNREFUSED') {
    return {
      code: 'NotReachable',
      what: `${name} refuses connections: the machine is there, and nothing listens on port ${port} (or a firewall rejects us).`,
      askKmsTeam: `Is the KMIP interface switched on, and is ${port} its port?`,
    };
  }
  return {
    code: 'NotReachable',
    what:
      code === 'Timeout'
        ? `${name} did not accept a connection within ${connectLimitMs} ms: usually a firewall that drops our packets, or a machine that is off.`
        : `${name} cannot be reached (${code}).`,
    askKmsTeam: `Is the KMS up, and may this machine reach it on TCP port ${port}?`,
    doHere: 'Check routes and firewalls between this machine and the KMS.',
  };
}

/** How OpenSSL names what the other side said, in words; the code ends with one of these. */
const ALERTS: readonly (readonly [RegExp, string])[] = [
  [/ALERT_UNKNOWN_CA$/, 'does not know the authority that issued it'],
  [/ALERT_CERTIFICATE_EXPIRED$/, 'says that it is not within its dates'],
  [/ALERT_CERTIFICATE_REVOKED$/, 'says that it was revoked'],
  [/ALERT_(?:BAD|UNSUPPORTED)_CERTIFICATE$/, 'does not accept a certificate of this kind'],
  [/ALERT_CERTIFICATE_(?:UNKNOWN|REQUIRED)$/, 'does not accept it'],
  [/ALERT_ACCESS_DENIED$/, 'accepts it, and denies its owner access'],
];

/** Codes of a peer that speaks no TLS. */
const NOT_TLS = /WRONG_VERSION_NUMBER$|PACKET_LENGTH_TOO_LONG$|HTTP_REQUEST$/;
const TLS_VERSION = /UNSUPPORTED_PROTOCOL$|ALERT_PROTOCOL_VERSION$|VERSION_TOO_LOW$/;

/** Whether this error code is a server's refusal of our certificate; also used for errors of later requests. */
export const isCertificateAlert = (code: string): boolean => ALERTS.some(([pattern]) => pattern.test(code));

/** The server, or the lack of a common language, ended the handshake. */
export function refused(
  code: string,
  { endpoint, client, nowMs, connectLimitMs }: Omit<HandshakeContext, 'authorities'>,
): Words {
  const name = addressOf(endpoint);
  if (NOT_TLS.test(code)) {
    return {
      code: 'NotTls',
      what: `${name} answers, but not in TLS (${code}): this is not a KMIP port.`,
      askKmsTeam: 'Which port serves KMIP over TLS? It is often 5696.',
    };
  }
  if (TLS_VERSION.test(code)) {
    return {
      code: 'TlsVersion',
      what: `${name} speaks no version of TLS that Sealgate accepts (${code}); it needs TLS 1.2 or 1.3.`,
      askKmsTeam: 'for TLS 1.2 on the KMIP interface.',
    };
  }
  const alert = ALERTS.find(([pattern]) => pattern.test(code));
  if (alert !== undefined) {
    const valid = nowMs >= client.notBeforeMs && nowMs <= client.notAfterMs;
    const dates =
      code.endsWith('EXPIRED') && valid
        ? ` Here it is valid until ${utc(client.notAfterMs)}, so the clock of the KMS or of this machine (${utc(nowMs)}) may be wrong.`
        : '';
    const purpose =
      client.extendedKeyUsage.length > 0 && !isForClients(client)
        ? ' It does not say that it is for clients (extended key usage clientAuth).'
        : '';
    return {
      code: 'ClientCertificateRefused',
      what: `${name} refuses our client certificate ${client.subject}: it ${alert[1]} (${code}).${dates}${purpose}`,
      askKmsTeam: `that the KMIP interface trusts the authority ${client.issuer} for client certificates, and accepts the certificate with SHA-256 fingerprint ${client.fingerprint256}; or for a client certificate that it accepts. The KMS's own log says why it refused.`,
    };
  }
  if (code === 'Timeout') {
    return {
      code: 'HandshakeFailed',
      what: `${name} accepted a connection and did not finish the TLS handshake within ${connectLimitMs} ms.`,
      askKmsTeam:
        'Is the KMIP service overloaded, or is a proxy in front of it that does not pass TLS through?',
    };
  }
  return {
    code: 'HandshakeFailed',
    what: `${name} ended the TLS handshake without saying why (${code}). Many servers do so when they do not accept the client certificate ${client.subject}.`,
    askKmsTeam: `What does the KMS's log say about our connection? Does the KMIP interface trust the authority ${client.issuer} for client certificates?`,
  };
}

function serverWords(look: Handshake, server: X509Certificate, context: HandshakeContext): Words[] {
  const { endpoint, nowMs } = context;
  const name = addressOf(endpoint);
  const facts = certificateFacts(server);
  if (look.verifyError !== null && look.verifyError !== 'ERR_TLS_CERT_ALTNAME_INVALID')
    return [untrusted(look, look.verifyError, facts, context)];
  const found: Words[] = [];
  if (!look.nameMatches) {
    const wanted = endpoint.serverName ?? endpoint.host;
    found.push({
      code: 'ServerCertificateForAnotherName',
      what: `The certificate of ${name} is for ${facts.subjectAltName ?? facts.subject}, not for ${wanted}.`,
      askKmsTeam: `for a KMIP server certificate whose subject alternative name holds ${wanted}.`,
      doHere:
        'Or use a host that the certificate names, or set serverName of the endpoint to such a name, if that server is the right one.',
    });
  }
  if (facts.notAfterMs - nowMs < EXPIRY_WARNING_MS) {
    found.push({
      severity: 'Warning',
      code: 'ServerCertificateExpiresSoon',
      what: `The certificate of ${name} (${facts.subject}) expires at ${utc(facts.notAfterMs)}, in ${span(facts.notAfterMs - nowMs)}.`,
      askKmsTeam: 'When will the KMIP server certificate be renewed, and by the same authority?',
    });
  }
  return found;
}

function untrusted(
  look: Handshake,
  error: string,
  server: CertificateFacts,
  { endpoint, authorities, nowMs }: HandshakeContext,
): Words {
  const name = addressOf(endpoint);
  const all = [...look.chain, ...authorities].map(certificateFacts);
  if (error === 'CERT_HAS_EXPIRED') {
    const expired = all.find(({ notAfterMs }) => notAfterMs < nowMs) ?? server;
    return {
      code: 'ServerCertificateExpired',
      what: `The certificate ${expired.subject}, with which ${name} proves who it is, has expired: it was valid until ${utc(expired.notAfterMs)}, ${span(nowMs - expired.notAfterMs)} ago by the clock of this machine.`,
      askKmsTeam: 'Renew this certificate on the KMIP interface.',
      doHere: `Make sure that the clock of this machine is right: it says ${utc(nowMs)}.`,
    };
  }
  if (error === 'CERT_NOT_YET_VALID') {
    const early = all.find(({ notBeforeMs }) => notBeforeMs > nowMs) ?? server;
    return {
      code: 'ServerCertificateNotYetValid',
      what: `The certificate ${early.subject}, with which ${name} proves who it is, becomes valid at ${utc(early.notBeforeMs)}, and the clock of this machine says ${utc(nowMs)}. One of the two clocks is wrong.`,
      askKmsTeam: 'Is the clock of the KMS right, and when was this certificate issued?',
      doHere: 'Compare the clock of this machine with a time server first.',
    };
  }
  const trusted = authorities.map((authority) => certificateFacts(authority).subject).join('; ');
  const top = look.chain.at(-1);
  const issuer = top === undefined ? server.issuer : certificateFacts(top).issuer;
  const renewed = authorities.some((authority) => certificateFacts(authority).subject === issuer);
  if (UNTRUSTED.has(error)) {
    return {
      code: 'ServerCertificateNotTrusted',
      what: renewed
        ? `The certificate of ${name} (${server.subject}) was signed by an authority of the name that caFile holds (${issuer}), but with another key: the authority was renewed, or this is another server.`
        : `The certificate of ${name} (${server.subject}) was issued by ${issuer}, which is not in caFile. caFile holds ${trusted}.`,
      askKmsTeam: `for the certificate of the authority that issued the KMIP server certificate (serial ${server.serialNumber}, SHA-256 fingerprint ${server.fingerprint256}), by a way that cannot be tampered with; and is that fingerprint the KMS's?`,
      doHere:
        'Put that authority into caFile. Do not take it from the connection: whoever sits between could have put it there.',
    };
  }
  return {
    code: 'ServerCertificateRefused',
    what: `The certificate of ${name} (${server.subject}, issued by ${server.issuer}) does not verify: OpenSSL says ${error}.`,
    askKmsTeam: 'for a KMIP server certificate that verifies against the authority in caFile.',
  };
}

/** OpenSSL's codes for a chain that ends at nobody whom we trust. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
]);
