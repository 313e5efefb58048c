/** Metrics of the operator's probes of KMS endpoints; latencies are shown here and not in a status. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { KmsEndpoint } from '../../dataplane/keys/settings.ts';
import type { EndpointVerdict } from './probe.ts';

export interface ProbeMetrics {
  /** `connection`: `namespace/name`. */
  probed(connection: string, endpoint: KmsEndpoint, verdict: EndpointVerdict, durationMs: number): void;
  /** Takes away what was told of the connection's endpoints but these. */
  keepOnly(connection: string, endpoints: readonly KmsEndpoint[]): void;
}

/** Registers the metrics; call it once per registry. */
export function createProbeMetrics(registry: Registry): ProbeMetrics {
  const registers = [registry];
  const duration = new Histogram({
    name: 'sealgate_operator_kms_probe_duration_seconds',
    help: 'How long a probe of a KMS endpoint took.',
    labelNames: ['connection', 'endpoint'] as const,
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const probes = new Counter({
    name: 'sealgate_operator_kms_probes_total',
    help: 'Probes of KMS endpoints by result.',
    labelNames: ['connection', 'endpoint', 'result'] as const,
    registers,
  });
  /** Results by endpoint by connection, as they stand in the metrics. */
  const told = new Map<string, Map<string, Set<EndpointVerdict>>>();
  return {
    probed: (connection, of, result, durationMs) => {
      const endpoint = textOf(of);
      duration.observe({ connection, endpoint }, durationMs / 1_000);
      probes.inc({ connection, endpoint, result });
      const endpoints = told.get(connection) ?? new Map<string, Set<EndpointVerdict>>();
      told.set(connection, endpoints.set(endpoint, (endpoints.get(endpoint) ?? new Set()).add(result)));
    },
    keepOnly: (connection, kept) => {
      const endpoints = told.get(connection);
      if (endpoints === undefined) return;
      const names = new Set(kept.map(textOf));
      for (const [endpoint, results] of endpoints) {
        if (names.has(endpoint)) continue;
        duration.remove({ connection, endpoint });
        for (const result of results) probes.remove({ connection, endpoint, result });
        endpoints.delete(endpoint);
      }
      if (endpoints.size === 0) told.delete(connection);
    },
  };
}

const textOf = ({ host, port }: KmsEndpoint): string => `${host}:${port}`;
