/** Metrics of the operator's probes of KMS endpoints; latencies are shown here and not in a status. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { KmsEndpoint } from '../../dataplane/keys/settings.ts';
import type { EndpointVerdict } from './probe.ts';

export interface ProbeMetrics {
  /** `connection`: `namespace/name`. */
  probed(connection: string, endpoint: KmsEndpoint, verdict: EndpointVerdict, durationMs: number): void;
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
  return {
    probed: (connection, { host, port }, result, durationMs) => {
      const endpoint = `${host}:${port}`;
      duration.observe({ connection, endpoint }, durationMs / 1_000);
      probes.inc({ connection, endpoint, result });
    },
  };
}
