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
import { OPENAPI_PATH, openApiDocument } from './openApi.ts';
import type { AdminRoute, AdminServices } from './route.ts';
import { ADMIN_ROUTES } from './routes.ts';
import { EPOCH_HEADER } from './schema/epoch.ts';

export interface AdminOptions extends AdminServices {
  /** The tokens in force, each of them valid; a reload may change them. */
  readonly tokens: () => readonly string[];
  /** What listens (see createAdminSocket); without it a plain HTTP server. */
  readonly socket?: HttpServer;
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

/** The epoch that the request is made in; null: none. */
function epochOf(header: string | string[] | undefined): number | null {
  if (header === undefined) return null;
  if (typeof header === 'string' && /^[0-9]{1,15}$/.test(header)) return Number(header);
  throw new AdminError('InvalidArgument', 'Sealgate-Epoch: must be a number');
}

function serve(server: FastifyInstance, route: AdminRoute, services: AdminServices): void {
  server.route({
    method: route.method,
    url: route.path.replaceAll(/\{(\w+)\}/g, ':$1'),
    handler: async ({ params, query, body, headers }, reply) => {
      const respond = () => route.respond(services, { params, query, body });
      const answer = route.fenced
        ? await services.epochs.mutate(epochOf(headers[EPOCH_HEADER]), respond)
        : await respond();
      return await reply.code(answer.status).send(answer.body ?? undefined);
    },
  });
}

/** Adds all routes, and the document of them. */
export function registerAdminRoutes(server: FastifyInstance, services: AdminServices): void {
  for (const route of ADMIN_ROUTES) serve(server, route, services);
  const document = openApiDocument();
  server.get(OPENAPI_PATH, async () => document);
}

/** The server, not listening yet. */
export function createAdminServer(options: AdminOptions): FastifyInstance {
  const socket = options.socket ?? createServer();
  const server = fastify({
    logger: false,
    forceCloseConnections: true,
    // Ids of access keys have up to 128 characters.
    routerOptions: { maxParamLength: 256 },
    serverFactory: (handler) => socket.on('request', handler),
  });
  server.addHook('onRequest', async (request, reply) => {
    if (isAuthorized(request.headers.authorization, options.tokens())) return;
    await reply
      .code(401)
      .header('www-authenticate', 'Bearer')
      .send(errorBody('Unauthorized', 'a valid bearer token is required'));
  });
  registerAdminRoutes(server, options);
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
