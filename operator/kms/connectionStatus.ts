/** What was seen of a connection, as the conditions and the status of its resource. Pure. */
import type { KMSConnectionStatus } from '../../crds/kmsconnection.ts';
import type { Judgement } from '../runtime/judgement.ts';
import { timeText } from '../runtime/judgement.ts';
import type { ShardError } from './connectionShards.ts';
import type { FleetView } from './fleetSync.ts';
import type { MaterialError } from './material.ts';
import type { EndpointProbe, EndpointVerdict } from './probe.ts';
import type { ConnectionConditionType, ReasonOf } from './reasons.ts';

const DAY_MS = 86_400_000;
/** As the doctor warns: long enough to get a certificate out of a large organisation. */
const EXPIRES_SOON_MS = 21 * DAY_MS;

/** Why a deletion waits; null: the resource is not being deleted. */
export type DeletionView = {
  readonly reason: Exclude<ReasonOf<'DeletionBlocked'>, 'NotDeleting'>;
  readonly message: string;
} | null;

export interface ConnectionView {
  /** Why the material cannot be used; null: it can. */
  readonly problem: MaterialError | null;
  /** Why the files cannot be written; null: nothing stands in their way. */
  readonly unwritten: ShardError | null;
  /** End of the client certificate in force, Unix ms; null: nothing is in force. */
  readonly notAfterMs: number | null;
  /** null: not probed yet. */
  readonly probes: readonly EndpointProbe[] | null;
  readonly fleet: FleetView;
  /** The pods have been behind for a few seconds only. */
  readonly settling: boolean;
  readonly deletion: DeletionView;
  readonly nowMs: number;
}

type Judged<Type extends ConnectionConditionType> = Judgement & { readonly reason: ReasonOf<Type> };

/** All conditions, Ready first: it takes the reason of the first part that does not hold. */
export function connectionConditions(view: ConnectionView): readonly Judgement[] {
  const parts = [certificateValid(view), reachable(view), authenticated(view), fleetSynced(view)];
  const failing =
    parts.find(({ status }) => status === 'False') ?? parts.find(({ status }) => status !== 'True');
  const ready: Judgement =
    failing === undefined
      ? { type: 'Ready', status: 'True', reason: 'Ready', message: 'The data plane uses the connection' }
      : { ...failing, type: 'Ready' };
  return [ready, ...parts, deletionBlocked(view)];
}

function certificateValid({ problem, notAfterMs, nowMs }: ConnectionView): Judged<'CertificateValid'> {
  const type = 'CertificateValid';
  if (problem !== null) {
    const still = notAfterMs === null ? '' : '; what was in force before stays in force';
    return { type, status: 'False', reason: problem.reason, message: `${capital(problem.message)}${still}` };
  }
  if (notAfterMs === null) {
    return { type, status: 'Unknown', reason: 'NothingRendered', message: 'Nothing is in force' };
  }
  const message = `The client certificate is valid until ${timeText(notAfterMs)}`;
  if (notAfterMs - nowMs >= EXPIRES_SOON_MS) return { type, status: 'True', reason: 'Valid', message };
  return { type, status: 'True', reason: 'ExpiresSoon', message };
}

/** The verdicts that show that a KMS was reached, and that it is the one that we trust. */
const REACHED: ReadonlySet<EndpointVerdict> = new Set(['Up', 'AuthenticationFailed', 'PermissionDenied']);

function reachable({ probes }: ConnectionView): Judged<'Reachable'> {
  const type = 'Reachable';
  if (probes === null) return { type, status: 'Unknown', reason: 'NotProbed', message: NOT_PROBED };
  const missed = probes.filter(({ verdict }) => !REACHED.has(verdict));
  const [first] = missed;
  if (first === undefined) {
    const message = probes.length === 1 ? 'The endpoint answers' : `All ${probes.length} endpoints answer`;
    return { type, status: 'True', reason: 'AllEndpointsReached', message };
  }
  const message = told(missed);
  if (missed.length < probes.length) {
    return { type, status: 'True', reason: 'SomeEndpointsNotReached', message };
  }
  const reasons = (['TlsFailed', 'KmsFailed'] as const).filter((reason) =>
    missed.some(({ verdict }) => verdict === reason),
  );
  return { type, status: 'False', reason: reasons[0] ?? 'Unreachable', message };
}

function authenticated({ probes }: ConnectionView): Judged<'Authenticated'> {
  const type = 'Authenticated';
  const reached = probes?.filter(({ verdict }) => REACHED.has(verdict)) ?? [];
  if (reached.length === 0) return { type, status: 'Unknown', reason: 'NotProbed', message: NOT_PROBED };
  const denied = reached.filter(({ verdict }) => verdict !== 'Up');
  if (denied.length < reached.length) {
    return {
      type,
      status: 'True',
      reason: 'Accepted',
      message: 'The KMS accepts the certificate and the user',
    };
  }
  const reason = denied.some(({ verdict }) => verdict === 'AuthenticationFailed')
    ? 'AuthenticationFailed'
    : 'PermissionDenied';
  return { type, status: 'False', reason, message: told(denied) };
}

const NOT_PROBED = 'No endpoint has been reached yet';

const told = (probes: readonly EndpointProbe[]): string =>
  probes.map(({ host, port, message }) => `${host}:${port}: ${message ?? 'no reason given'}`).join('; ');

function fleetSynced({ unwritten, notAfterMs, fleet, settling }: ConnectionView): Judged<'FleetSynced'> {
  const type = 'FleetSynced';
  const { desired, synced, refused, unreachable } = fleet;
  const no = (reason: ReasonOf<'FleetSynced'>, message: string): Judged<'FleetSynced'> => ({
    type,
    status: 'False',
    reason,
    message,
  });
  if (unwritten !== null) {
    const still = notAfterMs === null ? '' : '; what was in force before stays in force';
    return no(unwritten.reason, `${capital(unwritten.message)}${still}`);
  }
  if (notAfterMs === null) return no('NothingRendered', 'There is nothing yet that the data plane could use');
  if (desired === 0) return no('NoPods', 'There is no data-plane pod');
  if (refused !== null) return no('ConfigRefused', `The data plane refuses the connection: ${refused}`);
  if (synced === desired) {
    return { type, status: 'True', reason: 'Synced', message: 'The connection is in force on every pod' };
  }
  const few = `${synced} of ${desired} pods have the connection as it is declared`;
  if (unreachable > 0) return no('PodUnreachable', `${few}; a pod does not answer`);
  return { ...no('NotSynced', few), status: settling ? 'Unknown' : 'False' };
}

function deletionBlocked({ deletion }: ConnectionView): Judged<'DeletionBlocked'> {
  const type = 'DeletionBlocked';
  if (deletion !== null) return { type, status: 'True', ...deletion };
  return { type, status: 'False', reason: 'NotDeleting', message: 'Nothing is being deleted' };
}

const capital = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;

/** Everything else that the status tells. `buckets`: as it shall stand there; null: not known. */
export function connectionFacts(
  { notAfterMs, probes, fleet, nowMs }: ConnectionView,
  buckets: number | null,
  present: KMSConnectionStatus,
): Omit<KMSConnectionStatus, 'conditions' | 'observedGeneration'> {
  const up = probes?.filter(({ verdict }) => verdict === 'Up') ?? [];
  // Known from the last endpoint that told; an outage does not take it back.
  const protocolVersion = probes?.find((probe) => probe.protocolVersion !== null)?.protocolVersion;
  const vendor = probes?.find((probe) => probe.vendor !== null)?.vendor;
  const last = {
    protocolVersion: protocolVersion ?? present.protocolVersion,
    serverVendor: vendor?.slice(0, 256) ?? present.serverVendor,
  };
  return {
    ...(last.protocolVersion === undefined ? {} : { protocolVersion: last.protocolVersion }),
    ...(last.serverVendor === undefined ? {} : { serverVendor: last.serverVendor }),
    ...(notAfterMs === null ? {} : { certificateNotAfter: timeText(notAfterMs) }),
    ...(probes === null ? {} : { endpointsUp: `${up.length}/${probes.length}` }),
    ...(probes === null ? {} : { endpoints: probes.map((probe) => endpointStatus(probe, present, nowMs)) }),
    ...(buckets === null ? {} : { buckets }),
    fleet: { desired: fleet.desired, synced: fleet.synced },
  };
}

type EndpointStatus = NonNullable<KMSConnectionStatus['endpoints']>[number];

function endpointStatus(
  { host, port, verdict, message }: EndpointProbe,
  { endpoints = [] }: KMSConnectionStatus,
  nowMs: number,
): EndpointStatus {
  const state = verdict === 'Up' ? 'Up' : 'Down';
  const before = endpoints.find((endpoint) => endpoint.host === host && endpoint.port === port);
  const since = before?.state === state ? before.lastTransitionTime : undefined;
  return {
    host,
    port,
    state,
    lastTransitionTime: since ?? timeText(nowMs),
    ...(message === null ? {} : { message: message.slice(0, 1024) }),
  };
}
