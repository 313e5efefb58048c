/**
 * The operator's port for probes and scrapes: /livez, /readyz, /metrics. Unauthenticated, so it tells nothing about
 * buckets or keys beyond what the metrics count.
 */
import { type FastifyInstance, fastify } from 'fastify';
import type { Registry } from 'prom-client';

export interface HealthOptions {
  /** Why the operator is not ready, in words without secrets; empty: it is. */
  readonly unready: () => readonly string[];
  readonly registry: Registry;
}

/** The server, not listening yet. A process that waits for its turn to lead is ready. */
export function createHealthServer(options: HealthOptions): FastifyInstance {
  const server = fastify({ logger: false, exposeHeadRoutes: true, forceCloseConnections: true });
  server.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  server.get('/readyz', async (_request, reply) => {
    const reasons = options.unready();
    const ready = reasons.length === 0;
    return reply
      .code(ready ? 200 : 503)
      .type('text/plain')
      .send(ready ? 'ready\n' : `${reasons.join('\n')}\n`);
  });
  server.get('/metrics', async (_request, reply) =>
    reply.type(options.registry.contentType).send(await options.registry.metrics()),
  );
  server.setNotFoundHandler(async (_request, reply) =>
    reply.code(404).type('text/plain').send('not found\n'),
  );
  return server;
}
