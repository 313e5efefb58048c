/**
 * One look at an endpoint's TLS, with nothing sent after the handshake: how it is reached, what it presents, and whether
 * we would trust it. Verification is judged here instead of ending the connection, because a report must show the
 * certificate that is wrong. KMIP is spoken only over connections that connection.ts verified.
 */
import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';

/** In TLS 1.3 a server refuses a client certificate only after the client's side of the handshake. */
const REFUSAL_WAIT_MS = 500;
const CHAIN_LIMIT = 10;

export interface Handshake {
  /** How far it came. */
  readonly reached: 'Nothing' | 'Port' | 'Tls';
  /** Why it came no further: an error code of the system or of OpenSSL, or `Timeout` or `Ended`; null at 'Tls'. */
  readonly failure: string | null;
  /** Until the port was open, and from then to the end of the handshake. */
  readonly connectMs: number | null;
  readonly handshakeMs: number | null;
  /** Such as TLSv1.2, and the cipher suite's standard name. */
  readonly protocol: string | null;
  readonly cipher: string | null;
  /** As presented, the server's own first; empty when it did not come that far. */
  readonly chain: readonly X509Certificate[];
  /** OpenSSL's code for why the chain is not trusted, or null. */
  readonly verifyError: string | null;
  /** Whether the server's own certificate names what we call it; judged only when its chain is trusted. */
  readonly nameMatches: boolean;
  /** Set when the server ended a complete handshake: the error code, or `Ended`. */
  readonly refusal: string | null;
}

/** Never rejects; takes at most the connect timeout of the settings, and half a second. */
export async function lookAtTls(
  endpoint: KmsEndpoint,
  { tls, timeouts }: Pick<KmsConnectionSettings, 'tls' | 'timeouts'>,
  clock: Clock,
): Promise<Handshake> {
  const serverName = endpoint.serverName ?? endpoint.host;
  const startedMs = clock.now();
  let openMs: number | null = null;
  const identity = { matches: false };
  const socket = connect({
    host: endpoint.host,
    port: endpoint.port,
    servername: isIP(serverName) === 0 ? serverName : '',
    cert: tls.cert,
    key: tls.key,
    ca: tls.ca,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: false,
    // Called only for a chain that verifies.
    checkServerIdentity: (_host, certificate) => {
      const error = checkServerIdentity(serverName, certificate);
      identity.matches = error === undefined;
      return error;
    },
  });
  socket.once('connect', () => {
    openMs = clock.now();
  });
  const failure = await firstEvent(socket, 'secureConnect', timeouts.connectMs, clock);
  const handshakeMs = openMs === null ? null : clock.now() - openMs;
  const chain = presentedChain(socket);
  const facts = {
    connectMs: openMs === null ? null : openMs - startedMs,
    handshakeMs: failure === null ? handshakeMs : null,
    chain,
    nameMatches: identity.matches,
  };
  if (failure !== null) {
    socket.destroy();
    return {
      ...facts,
      reached: openMs === null ? 'Nothing' : 'Port',
      failure,
      protocol: null,
      cipher: null,
      verifyError: null,
      refusal: null,
    };
  }
  // Before the wait: a socket that the server ends forgets what it spoke.
  const protocol = socket.getProtocol();
  const cipher = socket.getCipher().standardName;
  const refusal = protocol === 'TLSv1.3' ? await firstEvent(socket, 'session', REFUSAL_WAIT_MS, clock) : null;
  const { authorized, authorizationError } = socket;
  const handshake: Handshake = {
    ...facts,
    reached: 'Tls',
    failure: null,
    protocol,
    cipher,
    verifyError: authorized ? null : codeOf(authorizationError),
    refusal: refusal === 'Timeout' ? null : refusal,
  };
  socket.destroy();
  return handshake;
}

/** Null when the event came, else why it never will. Later errors are taken in silence: the look is over. */
async function firstEvent(
  socket: TLSSocket,
  event: 'secureConnect' | 'session',
  limitMs: number,
  clock: Clock,
): Promise<string | null> {
  return await new Promise((resolve) => {
    const cancelLimit = clock.schedule(limitMs, () => resolve('Timeout'));
    const settle = (why: string | null) => {
      cancelLimit();
      resolve(why);
    };
    socket.once(event, () => settle(null));
    socket.once('close', () => settle('Ended'));
    socket.on('error', (error) => settle(codeOf(error)));
  });
}

/** node:tls types the verification error as Error; it is the code alone, as text. */
function codeOf(error: unknown): string {
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.message;
  return String(error);
}

function presentedChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let certificate = socket.getPeerX509Certificate();
  while (certificate !== undefined && chain.length < CHAIN_LIMIT) {
    const { fingerprint256 } = certificate;
    // A self-signed certificate may name itself as its issuer.
    if (chain.some((other) => other.fingerprint256 === fingerprint256)) break;
    chain.push(certificate);
    certificate = certificate.issuerCertificate;
  }
  return chain;
}
