/**
 * Asks each endpoint of a KMS whether the data plane could work with it: TLS, Discover Versions, Query, and Locate of a
 * name that nothing has, which needs the rights of the user and touches no key.
 *
 * Owns what is asked and how a failure is classed. It makes no key and changes nothing.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../dataplane/keys/clock.ts';
import { certificateFacts } from '../../dataplane/keys/doctor/certificates.ts';
import { type Handshake, lookAtTls } from '../../dataplane/keys/doctor/handshake.ts';
import { isCertificateAlert } from '../../dataplane/keys/doctor/handshakeFindings.ts';
import { introduce } from '../../dataplane/keys/doctor/introduction.ts';
import { DoctorSession, type Failure, StepFailed } from '../../dataplane/keys/doctor/session.ts';
import { type Connect, tlsConnector } from '../../dataplane/keys/kmip/connection.ts';
import { payloadOf } from '../../dataplane/keys/kmip/endpoint.ts';
import { KmipError } from '../../dataplane/keys/kmip/errors.ts';
import { locate, readIdentifiers } from '../../dataplane/keys/kmip/operations.ts';
import { judge } from '../../dataplane/keys/kmip/reasons.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../../dataplane/keys/settings.ts';

/** How far an endpoint came. The first two were never trusted or reached; the denied ones were. */
export type EndpointVerdict =
  | 'Up'
  | 'Unreachable'
  | 'TlsFailed'
  | 'AuthenticationFailed'
  | 'PermissionDenied'
  | 'KmsFailed';

export interface EndpointProbe {
  readonly host: string;
  readonly port: number;
  readonly verdict: EndpointVerdict;
  /** Why it is not Up; without times or counts, so that it stays the same as long as the cause does. */
  readonly message: string | null;
  readonly protocolVersion: string | null;
  readonly vendor: string | null;
}

export interface ProbeDeps {
  readonly clock: Clock;
  /** Unix ms. */
  readonly wallNow: () => number;
  /** Told how long an endpoint took, in ms, and what came of it. */
  readonly observe: (endpoint: KmsEndpoint, verdict: EndpointVerdict, durationMs: number) => void;
  /** How connections are opened; the default is verified TLS. */
  readonly connector?: (endpoint: KmsEndpoint) => Connect;
  /** The look at TLS; the default is a real one. */
  readonly look?: (endpoint: KmsEndpoint) => Promise<Handshake>;
}

/** All endpoints at once. Whatever a KMS does is a verdict; rejects only for faults of our own. */
export async function probeConnection(
  settings: KmsConnectionSettings,
  deps: ProbeDeps,
): Promise<readonly EndpointProbe[]> {
  return await Promise.all(
    settings.endpoints.map(async (endpoint) => {
      const startedMs = deps.clock.now();
      const probe = await probeEndpoint(endpoint, settings, deps);
      deps.observe(endpoint, probe.verdict, deps.clock.now() - startedMs);
      return probe;
    }),
  );
}

type Outcome = Pick<EndpointProbe, 'verdict' | 'message'> &
  Partial<Pick<EndpointProbe, 'protocolVersion' | 'vendor'>>;

async function probeEndpoint(
  endpoint: KmsEndpoint,
  settings: KmsConnectionSettings,
  deps: ProbeDeps,
): Promise<EndpointProbe> {
  const { totalMs } = settings.timeouts;
  const connector = deps.connector ?? ((of: KmsEndpoint) => tlsConnector(of, settings.tls, deps.clock));
  const session = new DoctorSession(endpoint, settings, connector(endpoint), {
    clock: deps.clock,
    wallNow: deps.wallNow,
    note: () => undefined,
  });
  let cancelLimit = (): void => undefined;
  const limit = new Promise<Outcome>((resolve) => {
    cancelLimit = deps.clock.schedule(totalMs, () =>
      resolve({ verdict: 'Unreachable', message: `no result within ${totalMs} ms` }),
    );
  });
  try {
    const outcome = await Promise.race([tryEndpoint(endpoint, settings, session, deps), limit]);
    return { host: endpoint.host, port: endpoint.port, protocolVersion: null, vendor: null, ...outcome };
  } finally {
    cancelLimit();
    session.close();
  }
}

async function tryEndpoint(
  endpoint: KmsEndpoint,
  settings: KmsConnectionSettings,
  session: DoctorSession,
  deps: ProbeDeps,
): Promise<Outcome> {
  const look = await (deps.look?.(endpoint) ?? lookAtTls(endpoint, settings, deps.clock));
  const wrong = judgeHandshake(look, endpoint);
  if (wrong !== null) return wrong;
  try {
    const { agreed, vendor } = await introduce(session, settings);
    if (agreed === null) {
      const { min, max } = settings.protocol;
      return { verdict: 'KmsFailed', message: `it speaks no KMIP version from ${min} to ${max}` };
    }
    const known = { protocolVersion: agreed, vendor };
    const refusal = await rightToWork(session, settings.keyNamePrefix);
    return refusal === null ? { verdict: 'Up', message: null, ...known } : { ...refusal, ...known };
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    return judgeFailure(error.failure);
  }
}

/** Null when Locate is answered, or refused for a reason that says nothing about the user's rights. */
async function rightToWork(session: DoctorSession, prefix: string): Promise<Outcome | null> {
  try {
    const name = `${prefix}-probe-${randomBytes(8).toString('hex')}`;
    await session.ask('Locate', [locate(name)], ([result]) => readIdentifiers(payloadOf(result)));
    return null;
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    const { kind, reason } = error.failure;
    return kind === 'Result' && SAYS_NOTHING.has(reason) ? null : judgeFailure(error.failure);
  }
}

/** Not found in its three forms, and servers that do not offer Locate: the gateway needs it for recovery only. */
const SAYS_NOTHING: ReadonlySet<number | null> = new Set([0x01, 0x36, 0x37, 0x05, 0x08]);

const judgeReason = ({ kind, reason, words, sent }: Failure) =>
  judge(new KmipError(kind, words, { sent, reason }));

/** Authentication Not Successful, Attestation Required, Attestation Failed: who we are is in question, not our rights. */
const IDENTITY_REASONS: ReadonlySet<number | null> = new Set([0x03, 0x14, 0x15]);

function judgeFailure(failure: Failure): Outcome {
  const { kind, reason, reasonName } = failure;
  if (kind === 'Result') {
    const message = `the KMS answers ${reasonName ?? 'a failure without a reason'}`;
    if (judgeReason(failure).code !== 'AccessDenied') return { verdict: 'KmsFailed', message };
    return {
      verdict: IDENTITY_REASONS.has(reason) ? 'AuthenticationFailed' : 'PermissionDenied',
      message,
    };
  }
  if (reasonName !== null && isCertificateAlert(reasonName)) return refusedCertificate(reasonName);
  if (kind === 'Malformed') return { verdict: 'KmsFailed', message: 'its answer is no KMIP' };
  return {
    verdict: 'Unreachable',
    message: kind === 'Timeout' ? 'no answer in time' : `the connection failed (${reasonName ?? 'ended'})`,
  };
}

const refusedCertificate = (code: string): Outcome => ({
  verdict: 'AuthenticationFailed',
  message: `it refuses our client certificate (${code})`,
});

/** Null when TLS is in order. */
function judgeHandshake(look: Handshake, endpoint: KmsEndpoint): Outcome | null {
  if (look.reached === 'Nothing') {
    return { verdict: 'Unreachable', message: `cannot be reached (${look.failure ?? 'no reason given'})` };
  }
  const refusal = look.failure ?? look.refusal;
  if (refusal !== null && isCertificateAlert(refusal)) return refusedCertificate(refusal);
  if (look.verifyError !== null && look.verifyError !== 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return { verdict: 'TlsFailed', message: `${serverOf(look)} is not trusted (${look.verifyError})` };
  }
  if (look.reached === 'Tls' && !look.nameMatches) {
    const wanted = endpoint.serverName ?? endpoint.host;
    return { verdict: 'TlsFailed', message: `${serverOf(look)} is not for ${wanted}` };
  }
  if (refusal === null) return null;
  return {
    verdict: 'TlsFailed',
    message: `the TLS handshake failed (${refusal}); servers that do not accept the client certificate often end it so`,
  };
}

function serverOf({ chain: [server] }: Handshake): string {
  if (server === undefined) return 'its certificate';
  const { subject, issuer } = certificateFacts(server);
  return `its certificate ${subject}, issued by ${issuer},`;
}
