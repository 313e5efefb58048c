/** What the operator asks of the API server, counted. */
import { Counter, Histogram, type Registry } from 'prom-client';

export interface ApiMetrics {
  /** One answered or failed attempt; code is the HTTP status or `none`. The time is until the headers for a watch. */
  request(call: { verb: string; resource: string; code: string; seconds: number }): void;
  /** A watch ended: by its own time, a lost connection, silence, or because it was too far behind (expired). */
  watchEnded(resource: string, reason: 'timeout' | 'failed' | 'silent' | 'expired'): void;
  listed(resource: string): void;
}

/** Registers the metrics; call it once per registry. */
export function createApiMetrics(registry: Registry): ApiMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'sealgate_operator_api_requests_total',
    help: 'Requests to the Kubernetes API server, each attempt counted.',
    labelNames: ['verb', 'resource', 'code'] as const,
    registers,
  });
  const durations = new Histogram({
    name: 'sealgate_operator_api_request_duration_seconds',
    help: 'Time until the API server answered in full; of a watch until it began.',
    labelNames: ['verb', 'resource'] as const,
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const ends = new Counter({
    name: 'sealgate_operator_watch_ends_total',
    help: 'Watches that ended, by their own time (timeout), an error (failed), silence, or being too far behind (expired).',
    labelNames: ['resource', 'reason'] as const,
    registers,
  });
  const lists = new Counter({
    name: 'sealgate_operator_full_lists_total',
    help: 'Full lists taken over into a cache.',
    labelNames: ['resource'] as const,
    registers,
  });
  return {
    request: ({ verb, resource, code, seconds }) => {
      requests.inc({ verb, resource, code });
      durations.observe({ verb, resource }, seconds);
    },
    watchEnded: (resource, reason) => ends.inc({ resource, reason }),
    listed: (resource) => lists.inc({ resource }),
  };
}
