/**
 * Metrics of the S3 port, counted per thread and added up over all threads when scraped.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What failed authentication although it was stored by us. */
export type IntegritySubject = 'blob' | 'record' | 'parts' | 'upload' | 'control' | 'bucketKey';

const INTEGRITY_SUBJECTS: readonly IntegritySubject[] = [
  'blob',
  'record',
  'parts',
  'upload',
  'control',
  'bucketKey',
];

/** One finished request. `operation` is the S3 name, or `Unknown` when routing failed; bytes are those of bodies. */
export interface FinishedRequest {
  readonly operation: string;
  /** 0 when the client went away before an answer. */
  readonly status: number;
  readonly durationMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface S3Metrics {
  requestStarted(): void;
  requestFinished(request: FinishedRequest): void;
  /** The header rules refused a request. */
  encryptionHeadersRefused(operation: string): void;
  integrityFailure(subject: IntegritySubject): void;
}

/** Registers the S3 metrics in `registry`. No label ever carries a bucket, an object or an access key. */
export function createS3Metrics(registry: Registry): S3Metrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'sealgate_s3_requests_total',
    help: 'S3 requests by operation and status; status 0: the client went away before the answer.',
    labelNames: ['operation', 'status'] as const,
    registers,
  });
  const duration = new Histogram({
    name: 'sealgate_s3_request_duration_seconds',
    help: 'From the head of the request to the last byte of the answer.',
    labelNames: ['operation'] as const,
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600],
    registers,
  });
  const received = new Counter({
    name: 'sealgate_s3_received_bytes_total',
    help: 'Bytes of request bodies.',
    registers,
  });
  const sent = new Counter({
    name: 'sealgate_s3_sent_bytes_total',
    help: 'Bytes of response bodies.',
    registers,
  });
  const inFlight = new Gauge({
    name: 'sealgate_s3_requests_in_flight',
    help: 'S3 requests being served.',
    registers,
  });
  const refused = new Counter({
    name: 'sealgate_encryption_headers_refused_total',
    help: 'Requests refused by the encryption header rules.',
    labelNames: ['operation'] as const,
    registers,
  });
  const integrity = new Counter({
    name: 'sealgate_integrity_failures_total',
    help: 'Stored bytes or rows that failed authentication.',
    labelNames: ['subject'] as const,
    registers,
  });
  for (const subject of INTEGRITY_SUBJECTS) integrity.inc({ subject }, 0);
  return {
    requestStarted: () => inFlight.inc(),
    requestFinished: ({ operation, status, durationMs, bytesIn, bytesOut }) => {
      inFlight.dec();
      requests.inc({ operation, status });
      duration.observe({ operation }, durationMs / 1000);
      received.inc(bytesIn);
      sent.inc(bytesOut);
    },
    encryptionHeadersRefused: (operation) => refused.inc({ operation }),
    integrityFailure: (subject) => integrity.inc({ subject }),
  };
}
