/**
 * The admin port. Every request needs the bearer token of the configuration, unknown paths included.
 *
 * Owns authentication and the routes; what a route tells is handed in. It must never answer with a secret.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server as HttpServer } from 'node:http';
import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { AdminError } from './errors.ts';
import { type KeyRouteOptions, registerKeyRoutes } from './keyRoutes.ts';
import type { Status } from './schema/status.ts';

export interface AdminOptions extends KeyRouteOptions {
  /** The tokens in force, each of them valid; a reload may change them. */
  readonly tokens: () => readonly string[];
  /** What listens (see createAdminSocket); without it a plain HTTP server. */
  readonly socket?: HttpServer;
  readonly status: () => Promise<Status>;
  readonly log: Logger;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Compares digests, so that the time taken tells neither content nor length. */
function isAuthorized(header: string | undefined, tokens: readonly string[]): boolean {
  const match = /^Bearer +(\S+) *$/i.exec(header ?? '');
  const given = digest(match?.[1] ?? '');
  const equal = tokens.map((token) => timingSafeEqual(given, digest(token)));
  return equal.includes(true) && match !== null;
}

function errorBody(code: string, message: string): { error: { code: string; message: string } } {
  return { error: { code, message } };
}

/** The server, not listening yet. */
export function createAdminServer(options: AdminOptions): FastifyInstance {
  const socket = options.socket ?? createServer();
  const server = fastify({
    logger: false,
    forceCloseConnections: true,
    serverFactory: (handler) => socket.on('request', handler),
  });
  server.addHook('onRequest', async (request, reply) => {
    if (isAuthorized(request.headers.authorization, options.tokens())) return;
    await reply
      .code(401)
      .header('www-authenticate', 'Bearer')
      .send(errorBody('Unauthorized', 'a valid bearer token is required'));
  });
  server.get('/admin/v1/status', async () => options.status());
  registerKeyRoutes(server, options);
  server.setNotFoundHandler(async (_request, reply) =>
    reply.code(404).send(errorBody('NotFound', 'no such resource')),
  );
  server.setErrorHandler(async (error, request, reply) => {
    if (error instanceof AdminError) {
      return reply.code(error.status).send(errorBody(error.code, error.message));
    }
    const status =
      error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
        ? error.statusCode
        : 500;
    if (status < 500)
      return reply.code(status).send(errorBody('BadRequest', 'the request is not well-formed'));
    options.log.error({ err: error, route: request.routeOptions.url }, 'admin request failed');
    return reply.code(500).send(errorBody('InternalError', 'the request failed; the log says why'));
  });
  return server;
}
