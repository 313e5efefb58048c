/** The `sealgate_kms_*` metrics, counted in the key-holder thread. Labels name connections, never buckets or keys. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { CacheResult } from './cache.ts';
import type { KmsEndpoint } from './settings.ts';

export type MetricsJson = Awaited<ReturnType<Registry['getMetricsAsJSON']>>;

/** What is read at the time of a scrape. */
export interface ConnectionGauges {
  readonly connection: string;
  readonly cachedKeys: number;
  readonly compromisedKeys: number;
  readonly oldestKeyMs: number;
  /** Unix ms. */
  readonly clientCertificateExpiresMs: number;
  /** Of the endpoints that were spoken to. */
  readonly serverCertificates: readonly { readonly endpoint: string; readonly expiresMs: number }[];
}

export class KeyMetrics {
  #registry = new Registry();
  #requests = new Counter({
    name: 'sealgate_kms_requests_total',
    help: 'KMIP operations by result: ok, the KMS result reason, or Connection, Timeout, Malformed, Busy.',
    labelNames: ['connection', 'operation', 'result'],
    registers: [this.#registry],
  });
  #duration = new Histogram({
    name: 'sealgate_kms_request_duration_seconds',
    help: 'Time from sending a KMIP request, waiting for a connection included, to its answer.',
    labelNames: ['connection', 'operation'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [this.#registry],
  });
  #endpointUp = new Gauge({
    name: 'sealgate_kms_endpoint_up',
    help: '1 when the endpoint answered last, 0 when it is down.',
    labelNames: ['connection', 'endpoint'],
    registers: [this.#registry],
  });
  #cache = new Counter({
    name: 'sealgate_kms_cache_requests_total',
    help: 'Uses of bucket keys: hit, stale (KMS unreachable), miss (the KMS was asked), negative (a remembered refusal).',
    labelNames: ['connection', 'result'],
    registers: [this.#registry],
  });
  #mismatches = new Counter({
    name: 'sealgate_kms_key_mismatches_total',
    help: 'Keys whose bytes were not those that the bucket was made with. Must stay 0.',
    labelNames: ['connection'],
    registers: [this.#registry],
  });
  #cachedKeys = this.#gauge('sealgate_kms_cached_keys', 'Bucket keys in memory.');
  #compromisedKeys = this.#gauge(
    'sealgate_kms_compromised_keys',
    'Keys in use that the KMS marks as compromised; they serve reads only.',
  );
  #oldestKey = this.#gauge(
    'sealgate_kms_oldest_key_age_seconds',
    'Time since the KMS last confirmed the key in memory that was confirmed longest ago.',
  );
  #certificateExpiry = new Gauge({
    name: 'sealgate_kms_certificate_expiry_timestamp_seconds',
    help: 'When the client certificate, and the server certificate last seen at each endpoint, expire.',
    labelNames: ['connection', 'certificate', 'endpoint'],
    registers: [this.#registry],
  });

  /** One KMIP operation, answered or failed. */
  requested(connection: string, operation: string, result: string, durationMs: number): void {
    this.#requests.inc({ connection, operation, result });
    this.#duration.observe({ connection, operation }, durationMs / 1000);
  }

  endpointChanged(connection: string, endpoint: KmsEndpoint, up: boolean): void {
    this.#endpointUp.set({ connection, endpoint: `${endpoint.host}:${endpoint.port}` }, up ? 1 : 0);
  }

  /** An endpoint that is no longer configured. */
  endpointRemoved(connection: string, endpoint: KmsEndpoint): void {
    this.#endpointUp.remove({ connection, endpoint: `${endpoint.host}:${endpoint.port}` });
  }

  cacheAsked(connection: string, result: CacheResult, times: number): void {
    this.#cache.inc({ connection, result }, times);
  }

  /** Makes the alarm visible at 0 before it ever rings. */
  connectionAdded(connection: string): void {
    this.#mismatches.inc({ connection }, 0);
  }

  mismatched(connection: string): void {
    this.#mismatches.inc({ connection });
  }

  /** Everything, in the form that prom-client's AggregatorRegistry.aggregate takes. */
  async collect(gauges: readonly ConnectionGauges[]): Promise<MetricsJson> {
    for (const gauge of [this.#cachedKeys, this.#compromisedKeys, this.#oldestKey, this.#certificateExpiry]) {
      gauge.reset();
    }
    for (const { connection, ...values } of gauges) {
      this.#cachedKeys.set({ connection }, values.cachedKeys);
      this.#compromisedKeys.set({ connection }, values.compromisedKeys);
      this.#oldestKey.set({ connection }, values.oldestKeyMs / 1000);
      this.#certificateExpiry.set(
        { connection, certificate: 'client' },
        values.clientCertificateExpiresMs / 1000,
      );
      for (const { endpoint, expiresMs } of values.serverCertificates) {
        this.#certificateExpiry.set({ connection, certificate: 'server', endpoint }, expiresMs / 1000);
      }
    }
    return await this.#registry.getMetricsAsJSON();
  }

  #gauge(name: string, help: string): Gauge<'connection'> {
    return new Gauge({ name, help, labelNames: ['connection'], registers: [this.#registry] });
  }
}
