/** The socket in front of a worker's S3 server: plain TCP or TLS whose certificate can be exchanged while it runs. */
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { Server as NetServer } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import type { ListenAddress, ServerTls } from '../config/settings.ts';

export interface Listener {
  /** Resolves to the port, which matters when port 0 was asked for. Rejects with the system's error. */
  listen(address: ListenAddress, sharedPort: boolean): Promise<number>;
  /** New connections use it; a listener made without TLS stays without. */
  setTls(tls: ServerTls): void;
  /** Accepts no more connections; those that are open go on. */
  close(): void;
}

const BACKLOG = 1_024;
const HANDSHAKE_TIMEOUT_MS = 10_000;

function tlsOptions(tls: ServerTls): TlsOptions {
  return { cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'] };
}

/** `server` is not listening; with `tls` it is handed decrypted connections. */
export function createListener(server: HttpServer, tls: ServerTls | null): Listener {
  if (tls === null) {
    return {
      listen: (address, sharedPort) => listen(server, address, sharedPort),
      setTls: () => {},
      close: () => closeIfOpen(server),
    };
  }
  const front = createTlsServer({ ...tlsOptions(tls), handshakeTimeout: HANDSHAKE_TIMEOUT_MS });
  front.on('secureConnection', (socket) => server.emit('connection', socket));
  // The HTTP server's own timeouts and its list of connections start when it hears that it listens.
  front.on('listening', () => server.emit('listening'));
  // A failed handshake is the client's trouble: a port scan must not fill the log.
  front.on('tlsClientError', (_error, socket) => socket.destroy());
  return {
    listen: (address, sharedPort) => listen(front, address, sharedPort),
    setTls: (next) => front.setSecureContext(tlsOptions(next)),
    close: () => closeIfOpen(front),
  };
}

async function listen(
  server: NetServer,
  { host, port }: ListenAddress,
  sharedPort: boolean,
): Promise<number> {
  const listening = once(server, 'listening');
  server.listen({ host, port, backlog: BACKLOG, reusePort: sharedPort, ipv6Only: false });
  await listening;
  return portOf(server);
}

/** The port that a listening server has. */
export function portOf(server: NetServer): number {
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('the server does not listen on a port');
  return address.port;
}

function closeIfOpen(server: NetServer): void {
  if (server.listening) server.close();
}
