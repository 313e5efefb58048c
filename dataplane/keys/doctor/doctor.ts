/**
 * Examines KMS connections for `sealgate doctor kmip`: certificates, TLS, KMIP, and one throw-away key's whole life.
 *
 * Owns what is done to the KMS and in which order. It is safe against one in production: of keys it touches only the one
 * that it makes, asks for no list of others, opens one connection at a time to each endpoint and repeats nothing but
 * the question whether the new key has arrived. It must not write anything here, nor let a secret into a report.
 */
import type { Clock } from '../clock.ts';
import { type Connect, tlsConnector } from '../kmip/connection.ts';
import type { KmsConnectionSettings, KmsEndpoint } from '../settings.ts';
import { certificateFacts, clientCertificateFindings, pemCertificates } from './certificates.ts';
import { type ConnectionFacts, type EndpointFacts, latenciesOf } from './facts.ts';
import { type Finding, ranked } from './findings.ts';
import { type Handshake, lookAtTls } from './handshake.ts';
import { addressOf, handshakeFindings } from './handshakeFindings.ts';
import { type Introduction, introduce } from './introduction.ts';
import { endpointFindings, speedFindings, trialFindings } from './reportFindings.ts';
import { DoctorSession, type Step, StepFailed } from './session.ts';
import { stepFindings } from './stepFindings.ts';
import { tryKey } from './throwAwayKey.ts';
import { utc } from './words.ts';

export interface DoctorDeps {
  readonly clock: Clock;
  /** Unix ms. */
  readonly wallNow: () => number;
  /** Ends the examination early; the throw-away key is removed all the same. */
  readonly signal: AbortSignal;
  /** How connections are opened; the default is verified TLS. */
  readonly connector?: (endpoint: KmsEndpoint) => Connect;
  /** The look at TLS; the default is a real one. */
  readonly look?: (endpoint: KmsEndpoint) => Promise<Handshake>;
}

export interface Examination {
  readonly name: string;
  readonly facts: ConnectionFacts;
  /** Causes first. */
  readonly findings: readonly Finding[];
}

/** Examines one connection. Rejects only for faults of our own: whatever the KMS does is a finding. */
export async function examine(settings: KmsConnectionSettings, deps: DoctorDeps): Promise<Examination> {
  const nowMs = deps.wallNow();
  const client = certificateFacts(pemCertificates(settings.tls.cert)[0] ?? missing('the client certificate'));
  const authorities = pemCertificates(settings.tls.ca);
  const steps: Step[] = [];
  const sessions: DoctorSession[] = [];
  const seen: { endpoint: KmsEndpoint; handshake: Handshake; introduction: Introduction | null }[] = [];
  try {
    for (const endpoint of settings.endpoints) {
      if (deps.signal.aborted) break;
      const handshake = await (deps.look?.(endpoint) ?? lookAtTls(endpoint, settings, deps.clock));
      const connector = deps.connector ?? ((of: KmsEndpoint) => tlsConnector(of, settings.tls, deps.clock));
      const session = new DoctorSession(endpoint, settings, connector(endpoint), {
        clock: deps.clock,
        wallNow: deps.wallNow,
        note: (step) => steps.push(step),
      });
      sessions.push(session);
      const introduction = isSound(handshake) ? await introduced(session, settings) : null;
      seen.push({ endpoint, handshake, introduction });
    }
    const [first, ...others] = sessions.filter(({ version }) => version !== null);
    const trial = first === undefined ? null : await tryKey([first, ...others], settings, deps);
    const endpoints = seen.map(
      (facts, i): EndpointFacts => ({
        ...facts,
        address: addressOf(facts.endpoint),
        clockAheadMs: sessions[i]?.clockAheadMs ?? null,
        endedBetween: sessions[i]?.endedBetween ?? 0,
      }),
    );
    const facts: ConnectionFacts = {
      client,
      username: settings.credentials?.username ?? null,
      authorities,
      endpoints,
      trial,
      trialEndpoint: first?.address ?? null,
      steps,
      latencies: latenciesOf(steps),
    };
    return { name: settings.name, facts, findings: findingsOf(facts, settings, nowMs) };
  } finally {
    for (const session of sessions) session.close();
  }
}

/** A session to a server that would not be trusted is not even tried. */
function isSound({ reached, verifyError, nameMatches, refusal }: Handshake): boolean {
  return reached === 'Tls' && verifyError === null && nameMatches && refusal === null;
}

async function introduced(
  session: DoctorSession,
  settings: KmsConnectionSettings,
): Promise<Introduction | null> {
  try {
    return await introduce(session, settings);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    return null;
  }
}

function findingsOf(
  facts: ConnectionFacts,
  { timeouts, endpoints }: KmsConnectionSettings,
  nowMs: number,
): Finding[] {
  const { client, authorities, username, trial, trialEndpoint, steps } = facts;
  const certificate = clientCertificateFindings(client, nowMs);
  const ofHandshakes = facts.endpoints.flatMap(({ endpoint, handshake }) =>
    handshakeFindings(handshake, {
      endpoint,
      client,
      authorities,
      connectLimitMs: timeouts.connectMs,
      nowMs,
    }),
  );
  const clock = clockFinding([...certificate, ...ofHandshakes], nowMs);
  // A server that ends the handshake with a certificate that cannot be valid does what it has to.
  const outdated = certificate.some(({ severity }) => severity === 'Problem');
  const caused = new Set(['ClientCertificateRefused', 'HandshakeFailed', 'ConnectionEnded']);
  const rest = [
    ...ofHandshakes,
    ...stepFindings(steps, {
      endpoints,
      client,
      username,
      encryptWorks: trial?.encryptWorks ?? null,
      getAloneWorks: trial?.getAloneWorks ?? null,
      objectGroupRefused: trial?.objectGroupRefused ?? false,
      limits: timeouts,
      nowMs,
    }),
  ].filter(({ code }) => !(outdated && caused.has(code)));
  const interrupted: Finding[] =
    trial?.interrupted === true || facts.endpoints.length < endpoints.length
      ? [
          {
            severity: 'Problem',
            code: 'Interrupted',
            endpoints: [],
            what: 'The examination was interrupted, so not everything was looked at.',
            askKmsTeam: null,
            doHere: 'Run it again.',
          },
        ]
      : [];
  return ranked([
    ...clock,
    ...certificate,
    ...rest,
    ...facts.endpoints.flatMap((endpoint) => endpointFindings(endpoint, nowMs)),
    ...(trial === null ? [] : trialFindings(trial, trialEndpoint ?? '')),
    ...speedFindings(facts),
    ...interrupted,
  ]);
}

/** When both sides' certificates are out of their dates in the same direction, one clock is the simpler explanation. */
function clockFinding(findings: readonly Finding[], nowMs: number): Finding[] {
  const has = (...codes: Finding['code'][]): boolean =>
    codes.every((code) => findings.some((finding) => finding.code === code));
  const early = has('ClientCertificateNotYetValid', 'ServerCertificateNotYetValid');
  const late = has('ClientCertificateExpired', 'ServerCertificateExpired');
  if (!early && !late) return [];
  return [
    {
      severity: 'Problem',
      code: 'ClockHereWrong',
      endpoints: [],
      what: `Our certificate and the KMS's are both ${early ? 'not valid yet' : 'expired'} by the clock of this machine, which says ${utc(nowMs)}. Most likely that clock is wrong.`,
      askKmsTeam: null,
      doHere: 'Set the clock of this machine by a time server, and run this again.',
    },
  ];
}

function missing(what: string): never {
  throw new TypeError(`${what} is missing`);
}
