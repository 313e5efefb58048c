/** Metrics of queues and reconciles; one set for all controllers of the process. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export type ReconcileOutcome = 'success' | 'conflict' | 'error';

export interface QueueMetrics {
  /** Keys that wait to be worked on. */
  depth(queue: string, keys: number): void;
  /** From the first add to the start of work. */
  started(queue: string, waitedSeconds: number): void;
  finished(queue: string, outcome: ReconcileOutcome, workedSeconds: number): void;
  retried(queue: string): void;
}

const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300];

/** Registers the metrics; call it once per registry. */
export function createQueueMetrics(registry: Registry): QueueMetrics {
  const registers = [registry];
  const depth = new Gauge({
    name: 'sealgate_operator_queue_depth',
    help: 'Objects that wait to be reconciled.',
    labelNames: ['controller'] as const,
    registers,
  });
  const latency = new Histogram({
    name: 'sealgate_operator_queue_latency_seconds',
    help: 'How long an object waited to be reconciled.',
    labelNames: ['controller'] as const,
    buckets: BUCKETS,
    registers,
  });
  const work = new Histogram({
    name: 'sealgate_operator_reconcile_duration_seconds',
    help: 'How long a reconcile took.',
    labelNames: ['controller'] as const,
    buckets: BUCKETS,
    registers,
  });
  const reconciles = new Counter({
    name: 'sealgate_operator_reconciles_total',
    help: 'Reconciles by result; conflict: the object had changed meanwhile.',
    labelNames: ['controller', 'result'] as const,
    registers,
  });
  const retries = new Counter({
    name: 'sealgate_operator_queue_retries_total',
    help: 'Reconciles put off to a later try after a failure.',
    labelNames: ['controller'] as const,
    registers,
  });
  return {
    depth: (controller, keys) => depth.set({ controller }, keys),
    started: (controller, seconds) => latency.observe({ controller }, seconds),
    finished: (controller, result, seconds) => {
      reconciles.inc({ controller, result });
      work.observe({ controller }, seconds);
    },
    retried: (controller) => retries.inc({ controller }),
  };
}
