/** Who the KMS is and what it says of itself: Discover Versions as the gateway sends it, then Query. */
import { payloadOf } from '../kmip/endpoint.ts';
import { KmipError } from '../kmip/errors.ts';
import type { ProtocolVersion } from '../kmip/messages.ts';
import { discoverVersions, query, readQuery, readVersions } from '../kmip/operations.ts';
import { judge } from '../kmip/reasons.ts';
import { NEEDED_OPERATIONS, OPERATION } from '../kmip/tags.ts';
import {
  DISCOVERY_HEADERS,
  highestCommon,
  parseVersion,
  versionName,
  versionsWithin,
} from '../kmip/versions.ts';
import type { KmsConnectionSettings } from '../settings.ts';
import { type DoctorSession, type Failure, StepFailed } from './session.ts';
import { foreign } from './words.ts';

export interface Introduction {
  /** Versions that the KMS listed; null when it does not know Discover Versions. */
  readonly versions: readonly string[] | null;
  /** The version that the gateway would speak; null when there is none that both sides know. */
  readonly agreed: string | null;
  readonly vendor: string | null;
  /** Needed operations that Query does not list; null when it lists none at all, or fails. */
  readonly notListed: readonly string[] | null;
}

/** Agrees on a version and asks who is there; sets the session's version. Rejects with StepFailed when nobody answers. */
export async function introduce(
  session: DoctorSession,
  { protocol }: Pick<KmsConnectionSettings, 'protocol'>,
): Promise<Introduction> {
  const offered = versionsWithin(protocol);
  const versions = await discover(session, offered);
  const agreed = versions === null ? parseVersion(protocol.min) : highestCommon(offered, versions);
  const names = versions?.map(versionName) ?? null;
  if (agreed === null) return { versions: names, agreed: null, vendor: null, notListed: null };
  session.version = agreed;
  const { vendor, operations } = await ask(session);
  return {
    versions: names,
    agreed: versionName(agreed),
    vendor: vendor === null ? null : foreign(vendor),
    notListed:
      operations.length === 0
        ? null
        : NEEDED_OPERATIONS.filter((name) => !operations.includes(OPERATION[name])),
  };
}

/** What the server lists; null when it understands the question in neither header. Any other failure is passed on. */
async function discover(
  session: DoctorSession,
  offered: readonly ProtocolVersion[],
): Promise<ProtocolVersion[] | null> {
  for (const header of DISCOVERY_HEADERS) {
    try {
      return await session.ask(
        'DiscoverVersions',
        [discoverVersions(offered)],
        ([result]) => readVersions(payloadOf(result)),
        { header },
      );
    } catch (error) {
      if (!(error instanceof StepFailed) || !isUnknownToServer(error.failure)) throw error;
    }
  }
  return null;
}

/** Query is asked for information only: a server that refuses it may do all that is needed. */
async function ask(
  session: DoctorSession,
): Promise<{ vendor: string | null; operations: readonly number[] }> {
  try {
    return await session.ask('Query', [query()], ([result]) => readQuery(payloadOf(result)));
  } catch (error) {
    if (!(error instanceof StepFailed) || error.failure.kind !== 'Result') throw error;
    return { vendor: null, operations: [] };
  }
}

/** The reasons for which the gateway tries another version too. */
function isUnknownToServer({ kind, reason, words }: Failure): boolean {
  return kind === 'Result' && judge(new KmipError('Result', words, { sent: true, reason })).renegotiate;
}
