/** What an examination found out about one KMS connection, before anything is judged. */
import type { X509Certificate } from 'node:crypto';
import type { KmsEndpoint } from '../settings.ts';
import type { CertificateFacts } from './certificates.ts';
import type { Handshake } from './handshake.ts';
import type { Introduction } from './introduction.ts';
import type { Step, StepName } from './session.ts';
import type { KeyTrial } from './throwAwayKey.ts';

export interface EndpointFacts {
  readonly endpoint: KmsEndpoint;
  /** `host:port` */
  readonly address: string;
  readonly handshake: Handshake;
  /** Null when it did not come to a conversation. */
  readonly introduction: Introduction | null;
  /** How far the KMS's clock is ahead of ours, to a second; null = not told. */
  readonly clockAheadMs: number | null;
  /** How often the KMS ended the connection between two requests. */
  readonly endedBetween: number;
}

/** Of the answers to one step from one endpoint. */
export interface Latency {
  readonly step: StepName;
  readonly endpoint: string;
  readonly count: number;
  readonly medianMs: number;
  readonly maxMs: number;
}

export interface ConnectionFacts {
  readonly client: CertificateFacts;
  readonly username: string | null;
  readonly authorities: readonly X509Certificate[];
  readonly endpoints: readonly EndpointFacts[];
  /** Null when no endpoint would talk. */
  readonly trial: KeyTrial | null;
  /** Where the throw-away key was made. */
  readonly trialEndpoint: string | null;
  readonly steps: readonly Step[];
  readonly latencies: readonly Latency[];
}

/** Latencies by step and endpoint, in the order in which they were first answered. */
export function latenciesOf(steps: readonly Step[]): Latency[] {
  const groups = Map.groupBy(
    steps.filter(({ latencyMs }) => latencyMs !== null),
    ({ step, endpoint }) => `${endpoint} ${step}`,
  );
  return [...groups.values()].flatMap(([first, ...more]) => {
    if (first === undefined) return [];
    const sorted = [first, ...more].map(({ latencyMs }) => latencyMs ?? 0).toSorted((a, b) => a - b);
    const { step, endpoint } = first;
    const medianMs = sorted[Math.floor(sorted.length / 2)] ?? 0;
    return [{ step, endpoint, count: sorted.length, medianMs, maxMs: sorted.at(-1) ?? 0 }];
  });
}
