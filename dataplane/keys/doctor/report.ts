/** The report of `sealgate doctor kmip --json`. Its shape is a promise: docs/doctor.md describes every field. */
import { type CertificateFacts, certificateFacts } from './certificates.ts';
import type { Examination } from './doctor.ts';
import type { EndpointFacts, Latency } from './facts.ts';
import type { Finding } from './findings.ts';
import type { Step } from './session.ts';

/** Changes when a field changes its meaning or goes; new fields may come under the same name. */
const REPORT_NAME = 'sealgate.doctor.kmip/v1';

export interface KmipReport {
  readonly report: typeof REPORT_NAME;
  /** ISO 8601, UTC. */
  readonly madeAt: string;
  /** Of Sealgate. */
  readonly version: string;
  /** No problem was found; there may be warnings. */
  readonly healthy: boolean;
  readonly connections: readonly ConnectionReport[];
}

export interface ConnectionReport {
  readonly name: string;
  readonly healthy: boolean;
  /** Problems before warnings, causes first. */
  readonly findings: readonly Finding[];
  readonly identity: {
    readonly clientCertificate: CertificateReport;
    /** The user name of the optional KMIP Credential. */
    readonly username: string | null;
    /** What caFile holds. */
    readonly authorities: readonly CertificateReport[];
  };
  readonly endpoints: readonly EndpointReport[];
  readonly throwAwayKey: {
    readonly name: string;
    /** Unique Identifier in the KMS. */
    readonly kmsId: string | null;
    /** `host:port` */
    readonly endpoint: string | null;
    readonly removal: 'NotCreated' | 'Destroyed' | 'Left' | 'Unknown';
    readonly readableWhenDeactivated: boolean | null;
    /** The other endpoints, and when they had the key. */
    readonly replication: readonly {
      readonly endpoint: string;
      readonly lagMs: number | null;
      readonly sameKey: boolean | null;
    }[];
  } | null;
  /** Everything that was asked, in order. */
  readonly steps: readonly StepReport[];
  readonly latencies: readonly Latency[];
}

export type CertificateReport = Omit<CertificateFacts, 'notBeforeMs' | 'notAfterMs'> & {
  /** ISO 8601, UTC. */
  readonly notBefore: string;
  readonly notAfter: string;
};

export interface EndpointReport {
  readonly host: string;
  readonly port: number;
  readonly serverName: string | null;
  /** The gateway uses a higher tier only when no endpoint of a lower one is up. */
  readonly tier: number;
  readonly tls: {
    readonly reached: 'Nothing' | 'Port' | 'Tls';
    /** Why it came no further, or why the chain is not trusted: an error code. */
    readonly error: string | null;
    readonly connectMs: number | null;
    readonly handshakeMs: number | null;
    readonly protocol: string | null;
    readonly cipher: string | null;
    /** As presented, the server's own certificate first. */
    readonly chain: readonly CertificateReport[];
  };
  readonly kmip: {
    readonly versions: readonly string[] | null;
    readonly agreed: string | null;
    readonly vendor: string | null;
    readonly notListed: readonly string[] | null;
    readonly clockAheadMs: number | null;
  } | null;
}

export interface StepReport {
  readonly step: Step['step'];
  readonly endpoint: string;
  readonly result: 'Ok' | 'Failed';
  /** Of a failure: the KMIP Result Reason's name, an error code, or Connection, Timeout or Malformed. */
  readonly reason: string | null;
  /** The whole sentence, with the KMS's own words. */
  readonly detail: string | null;
  readonly latencyMs: number | null;
}

/** The report about these examinations. */
export function kmipReport(
  examinations: readonly Examination[],
  { madeAtMs, version }: { readonly madeAtMs: number; readonly version: string },
): KmipReport {
  const connections = examinations.map(connectionReport);
  return {
    report: REPORT_NAME,
    madeAt: new Date(madeAtMs).toISOString(),
    version,
    healthy: connections.every(({ healthy }) => healthy),
    connections,
  };
}

function connectionReport({ name, facts, findings }: Examination): ConnectionReport {
  const { client, username, authorities, endpoints, trial, trialEndpoint, steps, latencies } = facts;
  return {
    name,
    healthy: findings.every(({ severity }) => severity !== 'Problem'),
    findings,
    identity: {
      clientCertificate: certificateReport(client),
      username,
      authorities: authorities.map((authority) => certificateReport(certificateFacts(authority))),
    },
    endpoints: endpoints.map(endpointReport),
    throwAwayKey:
      trial === null
        ? null
        : {
            name: trial.name,
            kmsId: trial.kmsId,
            endpoint: trialEndpoint,
            removal: trial.removal,
            readableWhenDeactivated: trial.readableWhenDeactivated,
            replication: trial.replication.map(({ endpoint, lagMs, sameKey }) => ({
              endpoint,
              lagMs: lagMs === null ? null : rounded(lagMs),
              sameKey,
            })),
          },
    steps: steps.map(({ step, endpoint, failure, latencyMs }) => ({
      step,
      endpoint,
      result: failure === null ? 'Ok' : 'Failed',
      reason: failure === null ? null : (failure.reasonName ?? failure.kind),
      detail: failure?.words ?? null,
      latencyMs: latencyMs === null ? null : rounded(latencyMs),
    })),
    latencies: latencies.map((latency) => ({
      ...latency,
      medianMs: rounded(latency.medianMs),
      maxMs: rounded(latency.maxMs),
    })),
  };
}

function endpointReport({ endpoint, handshake, introduction, clockAheadMs }: EndpointFacts): EndpointReport {
  const {
    reached,
    failure,
    verifyError,
    refusal,
    nameMatches,
    connectMs,
    handshakeMs,
    protocol,
    cipher,
    chain,
  } = handshake;
  const nameError = reached === 'Tls' && !nameMatches ? 'ERR_TLS_CERT_ALTNAME_INVALID' : null;
  return {
    host: endpoint.host,
    port: endpoint.port,
    serverName: endpoint.serverName ?? null,
    tier: endpoint.tier ?? 0,
    tls: {
      reached,
      error: failure ?? verifyError ?? nameError ?? refusal,
      connectMs: connectMs === null ? null : rounded(connectMs),
      handshakeMs: handshakeMs === null ? null : rounded(handshakeMs),
      protocol,
      cipher,
      chain: chain.map((certificate) => certificateReport(certificateFacts(certificate))),
    },
    kmip:
      introduction === null
        ? null
        : { ...introduction, clockAheadMs: clockAheadMs === null ? null : Math.round(clockAheadMs) },
  };
}

function certificateReport({ notBeforeMs, notAfterMs, ...rest }: CertificateFacts): CertificateReport {
  return {
    ...rest,
    notBefore: new Date(notBeforeMs).toISOString(),
    notAfter: new Date(notAfterMs).toISOString(),
  };
}

/** To a tenth of a millisecond: more would be noise. */
const rounded = (ms: number): number => Math.round(ms * 10) / 10;
