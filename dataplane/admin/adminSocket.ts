/** The HTTP server under the admin port: plain, or TLS whose certificate can be exchanged while it runs. */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { ServerTls } from '../config/settings.ts';

export interface AdminSocket {
  /** Not listening yet, without a handler. */
  readonly server: HttpServer;
  /** New connections use it; a server made without TLS stays without. */
  setTls(tls: ServerTls): void;
}

function tlsOptions({ cert, key }: ServerTls): { cert: string; key: string; minVersion: 'TLSv1.2' } {
  return { cert, key, minVersion: 'TLSv1.2' };
}

/** `tls` null: plain HTTP. */
export function createAdminSocket(tls: ServerTls | null): AdminSocket {
  if (tls === null) return { server: createHttpServer(), setTls: () => {} };
  const server = createHttpsServer(tlsOptions(tls));
  return { server, setTls: (next) => server.setSecureContext(tlsOptions(next)) };
}
