/** The metrics of the key jobs, counted in their thread. No label names a bucket or a key. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { KeyVersionDocument } from '../metadata/metadata.ts';

type KeyVersionState = KeyVersionDocument['state'];

export type StepResult = 'ok' | 'failed';

/** What a survey found. */
export interface SurveyGauges {
  readonly states: ReadonlyMap<KeyVersionState, number>;
  readonly rewrapBuckets: number;
  /** Since the rotation whose rewrap waits longest; 0: none waits. */
  readonly oldestRewrapSeconds: number;
  readonly overdueRotations: number;
}

export interface KeyJobMetrics {
  resealed(kind: 'version' | 'upload', count: number): void;
  skipped(count: number): void;
  damagedSeal(): void;
  rotated(result: StepResult): void;
  revoked(result: StepResult): void;
  surveyed(gauges: SurveyGauges): void;
}

const STATES: readonly KeyVersionState[] = [
  'Creating',
  'Current',
  'Readable',
  'Retiring',
  'Revoked',
  'Destroyed',
];

/** Registers them; what can be counted is visible at 0 from the start. */
export function createKeyJobMetrics(registry: Registry): KeyJobMetrics {
  const registers = [registry];
  const items = new Counter({
    name: 'sealgate_rewrap_items_total',
    help: 'Sealed data keys that were sealed anew after a rotation.',
    labelNames: ['kind'] as const,
    registers,
  });
  const skipped = new Counter({
    name: 'sealgate_rewrap_skipped_total',
    help: 'Sealed data keys that somebody else changed or removed while they were being sealed anew.',
    registers,
  });
  const failures = new Counter({
    name: 'sealgate_rewrap_failures_total',
    help: 'Sealed data keys that did not open and so could not be sealed anew. Must stay 0.',
    registers,
  });
  const buckets = new Gauge({
    name: 'sealgate_rewrap_buckets',
    help: 'Buckets with sealed data keys under replaced key versions.',
    registers,
  });
  const oldest = new Gauge({
    name: 'sealgate_rewrap_oldest_seconds',
    help: 'Time since the rotation whose rewrap is unfinished for longest; 0 when all are finished.',
    registers,
  });
  const rotations = new Counter({
    name: 'sealgate_bucket_key_rotations_total',
    help: 'Attempts to rotate a bucket key, by result.',
    labelNames: ['result'] as const,
    registers,
  });
  const revocations = new Counter({
    name: 'sealgate_bucket_key_revocations_total',
    help: 'Attempts to revoke a retired key version in the KMS, by result.',
    labelNames: ['result'] as const,
    registers,
  });
  const overdue = new Gauge({
    name: 'sealgate_bucket_key_rotations_overdue',
    help: 'Buckets whose key is older than their rotation schedule allows.',
    registers,
  });
  const versions = new Gauge({
    name: 'sealgate_bucket_key_versions',
    help: 'Key versions of all buckets by state, as of the last look.',
    labelNames: ['state'] as const,
    registers,
  });
  for (const kind of ['version', 'upload'] as const) items.inc({ kind }, 0);
  for (const result of ['ok', 'failed'] as const) {
    rotations.inc({ result }, 0);
    revocations.inc({ result }, 0);
  }
  return {
    resealed: (kind, count) => items.inc({ kind }, count),
    skipped: (count) => skipped.inc(count),
    damagedSeal: () => failures.inc(),
    rotated: (result) => rotations.inc({ result }),
    revoked: (result) => revocations.inc({ result }),
    surveyed: (gauges) => {
      for (const state of STATES) versions.set({ state }, gauges.states.get(state) ?? 0);
      buckets.set(gauges.rewrapBuckets);
      oldest.set(gauges.oldestRewrapSeconds);
      overdue.set(gauges.overdueRotations);
    },
  };
}
