/**
 * The port for probes and scrapes: /livez, /readyz, /metrics. Unauthenticated, so it tells nothing about buckets,
 * objects or keys.
 *
 * Owns only these routes. Readiness never depends on the KMS: one outage there would take every process out of
 * service, plain buckets included.
 */
import { type FastifyInstance, fastify } from 'fastify';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { type MetricsSource, Scraper } from './aggregate.ts';

/** Starting: not yet ready. Draining: ends, and takes no new work. */
export type Phase = 'starting' | 'ready' | 'draining';

export interface MonitoringOptions {
  readonly phase: () => Phase;
  readonly sources: () => readonly MetricsSource[];
  readonly log: Logger;
  /** How long a scrape waits for a thread. */
  readonly scrapeTimeoutMs: number;
}

/** The server, not listening yet. */
export function createMonitoringServer(options: MonitoringOptions): FastifyInstance {
  const server = fastify({ logger: false, exposeHeadRoutes: true, forceCloseConnections: true });
  server.get('/livez', async (_request, reply) => reply.type('text/plain').send('ok\n'));
  server.get('/readyz', async (_request, reply) => {
    const phase = options.phase();
    return reply
      .code(phase === 'ready' ? 200 : 503)
      .type('text/plain')
      .send(`${phase}\n`);
  });
  const scraper = new Scraper();
  server.get('/metrics', async (_request, reply) => {
    const { text, missing } = await scraper.scrape(options.sources(), options.scrapeTimeoutMs);
    if (missing.length > 0) options.log.warn({ missing }, 'threads did not answer a scrape');
    return reply.type(Registry.PROMETHEUS_CONTENT_TYPE).send(text);
  });
  server.setNotFoundHandler(async (_request, reply) =>
    reply.code(404).type('text/plain').send('not found\n'),
  );
  return server;
}
