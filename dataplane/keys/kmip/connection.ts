/**
 * One mutually authenticated TLS connection to a KMIP server, used by one request at a time (depth 1).
 * After a timeout or an answer that cannot be framed it is destroyed: a late answer must never meet the next request.
 */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import {
  checkServerIdentity,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { Clock } from '../clock.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';
import { KmipError } from './errors.ts';
import { FrameReader } from './frames.ts';

/** Below the idle limits of firewalls; a kept connection that was dropped silently would cost a request timeout. */
const IDLE_LIMIT_MS = 60_000;

/** What the pool needs of a connection. */
export interface KmipConnection {
  /** False once it is closed or being closed. */
  readonly usable: boolean;
  /** Unix ms at which the server's certificate expires, or null if unknown. */
  readonly serverCertificateExpiresMs: number | null;
  /**
   * Sends one request and resolves to the answer, in a buffer that the caller zeroes. The request is zeroed here.
   * Rejects with KmipError Timeout, Connection or Malformed, after which the connection is not usable.
   */
  exchange(request: Buffer, timeoutMs: number): Promise<Buffer>;
  destroy(): void;
}

/** Opens a connection, TLS handshake included, within timeoutMs. Rejects with KmipError. */
export type Connect = (timeoutMs: number) => Promise<KmipConnection>;

/**
 * Reads the certificates and key now, so that a bad one is found when the settings are taken over. Throws KmipError
 * (without the key's text).
 */
export function tlsConnector(
  endpoint: KmsEndpoint,
  tls: KmsConnectionSettings['tls'],
  clock: Clock,
): Connect {
  let secureContext: SecureContext;
  try {
    // Without an authority of its own node:tls would trust the public ones.
    void new X509Certificate(tls.ca);
    secureContext = createSecureContext({ cert: tls.cert, key: tls.key, ca: tls.ca, minVersion: 'TLSv1.2' });
  } catch (error) {
    // OpenSSL's words could repeat what the key file holds; its code cannot.
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'not PEM';
    throw new KmipError('Connection', `its TLS files cannot be used (${code})`, { sent: false });
  }
  return async (timeoutMs) => await openConnection(endpoint, secureContext, clock, timeoutMs);
}

async function openConnection(
  endpoint: KmsEndpoint,
  secureContext: SecureContext,
  clock: Clock,
  timeoutMs: number,
): Promise<KmipConnection> {
  const serverName = endpoint.serverName ?? endpoint.host;
  const socket = connect({
    host: endpoint.host,
    port: endpoint.port,
    // An address must not be sent as SNI (RFC 6066, section 3); it is checked against the certificate all the same.
    servername: isIP(serverName) === 0 ? serverName : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
    secureContext,
    // Said here because the environment could switch the default off.
    rejectUnauthorized: true,
  });
  const address = `${endpoint.host}:${endpoint.port}`;
  await new Promise<void>((resolve, reject) => {
    const fail = (error: KmipError) => {
      cancelLimit();
      socket.destroy();
      reject(error);
    };
    const cancelLimit = clock.schedule(timeoutMs, () =>
      fail(
        new KmipError('Timeout', `${address} did not accept a connection within ${timeoutMs} ms`, {
          sent: false,
        }),
      ),
    );
    socket.once('error', (error) =>
      fail(
        new KmipError('Connection', `cannot connect to ${address}: ${describe(error)}`, {
          sent: false,
          cause: error,
        }),
      ),
    );
    socket.once('close', () =>
      fail(
        new KmipError('Connection', `${address} ended the connection during the TLS handshake`, {
          sent: false,
        }),
      ),
    );
    socket.once('secureConnect', () => {
      cancelLimit();
      socket.removeAllListeners('error');
      socket.removeAllListeners('close');
      resolve();
    });
  });
  return new TlsConnection(socket, address, clock);
}

/** Error codes and reasons of node:tls carry no secrets; a message of OpenSSL names files and functions only. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error';
  return 'code' in error && typeof error.code === 'string' ? `${error.code} ${error.message}` : error.message;
}

interface Exchange {
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: KmipError) => void;
  readonly cancelLimit: () => void;
}

class TlsConnection implements KmipConnection {
  readonly serverCertificateExpiresMs: number | null;
  #socket: TLSSocket;
  #address: string;
  #clock: Clock;
  #frames = new FrameReader();
  #exchange: Exchange | null = null;

  constructor(socket: TLSSocket, address: string, clock: Clock) {
    this.#socket = socket;
    this.#address = address;
    this.#clock = clock;
    const expires = Date.parse(socket.getPeerCertificate().valid_to);
    this.serverCertificateExpiresMs = Number.isNaN(expires) ? null : expires;
    socket.setNoDelay(true);
    socket.setTimeout(IDLE_LIMIT_MS, () => socket.destroy());
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('error', (error) => this.#fail('Connection', describe(error), error));
    socket.on('end', () => this.#fail('Connection', 'the server ended the connection'));
    socket.on('close', () => this.#fail('Connection', 'the connection was closed'));
  }

  get usable(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  async exchange(request: Buffer, timeoutMs: number): Promise<Buffer> {
    if (this.#exchange !== null || !this.usable) {
      request.fill(0);
      throw new KmipError('Connection', `the connection to ${this.#address} is not free`, { sent: false });
    }
    return await new Promise<Buffer>((resolve, reject) => {
      const cancelLimit = this.#clock.schedule(timeoutMs, () =>
        this.#fail('Timeout', `no answer within ${timeoutMs} ms`),
      );
      this.#exchange = { resolve, reject, cancelLimit };
      // The callback comes when the bytes have left or never will; only then may they be erased.
      this.#socket.write(request, () => request.fill(0));
    });
  }

  destroy(): void {
    this.#fail('Connection', 'the connection was given up');
  }

  #receive(chunk: Buffer): void {
    let frames: Buffer[];
    try {
      frames = this.#frames.push(chunk);
    } catch (error) {
      this.#fail('Malformed', error instanceof Error ? error.message : 'unreadable answer', error);
      return;
    }
    const [frame, ...more] = frames;
    if (frame === undefined && this.#exchange !== null) return;
    const exchange = this.#exchange;
    // Bytes that nobody asked for: the two sides no longer agree on which answer is whose.
    if (exchange === null || frame === undefined || more.length > 0 || this.#frames.partial) {
      for (const unasked of frames) unasked.fill(0);
      this.#fail('Malformed', 'bytes that answer no request');
      return;
    }
    this.#exchange = null;
    exchange.cancelLimit();
    exchange.resolve(frame);
  }

  /** Ends the connection, and with it the request under way. */
  #fail(code: 'Connection' | 'Timeout' | 'Malformed', why: string, cause?: unknown): void {
    this.#socket.destroy();
    this.#frames.clear();
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.cancelLimit();
    exchange?.reject(new KmipError(code, `${this.#address}: ${why}`, { sent: true, cause }));
  }
}
