/** What was seen of a bucket, as the conditions and the status of its resource. Pure. */
import type { EncryptedBucketStatus } from '../../crds/encryptedbucket.ts';
import type { BucketReport, KeyVersionReport } from '../../dataplane/admin/schema/buckets.ts';
import { type Judgement, timeText } from '../runtime/judgement.ts';
import { isWorthWriting } from '../runtime/steadyFigure.ts';
import type { AccessOutcome } from './access/accessEntries.ts';
import type { Declared } from './declaration.ts';
import { bytesIn, quantityText } from './quantity.ts';
import type { BucketConditionType, ReasonOf } from './reasons.ts';

const KEY_VERSIONS_LIMIT = 64;

type Status = Judgement['status'];

const judged = <Type extends BucketConditionType>(
  type: Type,
  status: Status,
  reason: ReasonOf<Type>,
  message: string,
): Judgement => ({ type, status, reason, message });

/** Why a deletion waits; null: the resource is not being deleted. */
export type DeletionView = {
  readonly reason: Exclude<ReasonOf<'DeletionBlocked'>, 'NotDeleting'>;
  readonly message: string;
} | null;

/** All conditions, Ready first: it takes the reason of the first part that does not hold. A rewrap keeps nothing from being ready. */
export function bucketConditions(
  declared: Declared,
  access: AccessOutcome | null,
  deletion: DeletionView,
): readonly Judgement[] {
  const [key, bucket] = declaredParts(declared);
  const parts = [key, bucket, accessReady(declared, access)];
  const failing =
    parts.find(({ status }) => status === 'False') ?? parts.find(({ status }) => status === 'Unknown');
  return [
    failing === undefined ? readyOf(key) : { ...failing, type: 'Ready' },
    ...parts,
    rewrapComplete(declared),
    deletionBlocked(deletion),
  ];
}

/** What is to be said of a working key is to be seen in the summary too. */
function readyOf(key: Judgement): Judgement {
  if (key.reason === 'KeyActive') {
    return judged('Ready', 'True', 'Ready', 'The bucket can be used and is encrypted');
  }
  return { ...key, type: 'Ready' };
}

function declaredParts(declared: Declared): readonly [Judgement, Judgement] {
  switch (declared.kind) {
    case 'Serving': {
      const bucket = judged('BucketReady', 'True', 'Declared', 'The bucket exists and is this resource’s');
      const { note } = declared;
      return note === null
        ? [judged('KeyReady', 'True', 'KeyActive', 'The bucket has its key'), bucket]
        : [judged('KeyReady', 'True', note.reason, note.message), bucket];
    }
    case 'KeyFailed':
      return [
        judged('KeyReady', 'False', declared.reason, declared.message),
        judged('BucketReady', 'False', 'KeyNotReady', 'The bucket waits for its key'),
      ];
    case 'BucketFailed':
      return [
        judged('KeyReady', 'Unknown', 'BucketNotReady', NO_BUCKET),
        judged('BucketReady', 'False', declared.reason, declared.message),
      ];
    case 'Outage':
      return [
        judged('KeyReady', 'Unknown', 'DataPlaneUnreachable', UNREACHABLE),
        judged('BucketReady', 'Unknown', 'DataPlaneUnreachable', UNREACHABLE),
      ];
  }
}

const NO_BUCKET = 'There is no bucket that is this resource’s';
const UNREACHABLE = 'No data-plane pod answers';

function accessReady(declared: Declared, access: AccessOutcome | null): Judgement {
  if (declared.kind === 'Outage')
    return judged('AccessReady', 'Unknown', 'DataPlaneUnreachable', UNREACHABLE);
  if (access === null) return judged('AccessReady', 'False', 'BucketNotReady', NO_BUCKET);
  const { problem, entries } = access;
  if (problem !== null) return judged('AccessReady', 'False', problem.reason, problem.message);
  return entries === 0
    ? judged('AccessReady', 'True', 'NoAccessDeclared', 'No access is declared')
    : judged('AccessReady', 'True', 'SecretsReady', 'Every access entry has its Secret and a key that works');
}

function rewrapComplete(declared: Declared): Judgement {
  const type = 'RewrapComplete';
  if (declared.kind === 'Outage') return judged(type, 'Unknown', 'DataPlaneUnreachable', UNREACHABLE);
  if (declared.kind !== 'Serving') return judged(type, 'Unknown', 'BucketNotReady', NO_BUCKET);
  const { state, damaged, message } = declared.report.rewrap;
  if (damaged > 0) return judged(type, 'False', 'SealsDamaged', 'Some objects could not be sealed anew');
  if (state === 'Idle') {
    return judged(type, 'True', 'Complete', 'Everything is sealed under the current key version');
  }
  return state === 'Running'
    ? judged(type, 'False', 'Rewrapping', 'Objects are being sealed under the current key version')
    : judged(type, 'False', 'RewrapWaiting', message ?? 'The sealing anew waits');
}

export function deletionBlocked(view: DeletionView): Judgement {
  return view === null
    ? judged('DeletionBlocked', 'False', 'NotDeleting', 'Nothing is being deleted')
    : judged('DeletionBlocked', 'True', view.reason, view.message);
}

/** Where the data plane is, as the status tells it. */
export interface StatusEndpoints {
  readonly internalUrl: string;
  readonly externalUrl: string | null;
}

export interface FactsContext {
  readonly bucketName: string;
  readonly endpoints: StatusEndpoints | null;
  readonly present: EncryptedBucketStatus;
  /** When the figures were last written, steady ms; null: not known. */
  readonly writtenMs: number | null;
  readonly steadyMs: number;
  readonly nowMs: number;
}

type Facts = Omit<EncryptedBucketStatus, 'conditions' | 'observedGeneration'>;

/** Everything else that the status tells of a bucket that serves. `figuresWritten`: usage or rewrap are new. */
export function servingFacts(
  report: BucketReport,
  context: FactsContext,
): { readonly facts: Facts; readonly figuresWritten: boolean } {
  const { bucketName, endpoints } = context;
  const current = report.keyVersions.find(({ n }) => n === report.keyVersion);
  const { usage, rewrap, fresh } = figures(report, context);
  return {
    figuresWritten: fresh,
    facts: {
      bucketName,
      bucketUID: report.bucketId,
      ...(endpoints === null
        ? {}
        : {
            endpoints: {
              internal: endpoints.internalUrl,
              ...(endpoints.externalUrl === null ? {} : { external: endpoints.externalUrl }),
            },
          }),
      ...(current === undefined ? {} : { key: keyFacts(current, report.nextRotationAt) }),
      keyVersions: report.keyVersions
        .filter((version) => !wasNeverMade(version))
        .toSorted((a, b) => a.n - b.n)
        .slice(-KEY_VERSIONS_LIMIT)
        .map(versionFacts),
      rewrap,
      usage,
    },
  };
}

type KeyFacts = NonNullable<EncryptedBucketStatus['key']>;
type VersionFacts = NonNullable<EncryptedBucketStatus['keyVersions']>[number];

/** A number that a failed rotation has used up: there is no key to tell of, and each try may add one. */
const wasNeverMade = ({ state, kmsId }: KeyVersionReport): boolean => state === 'Destroyed' && kmsId === null;

const utc = (timestamp: string): string => timeText(Date.parse(timestamp));

function keyFacts({ n, kmsId, state, rotatedAt }: KeyVersionReport, next: string | null): KeyFacts {
  return {
    version: n,
    ...(kmsId === null ? {} : { id: kmsId }),
    state,
    ...(rotatedAt === null ? {} : { lastRotationTime: utc(rotatedAt) }),
    ...(next === null ? {} : { nextRotationTime: utc(next) }),
  };
}

function versionFacts({ n, kmsId, state, kmsConnection }: KeyVersionReport): VersionFacts {
  const [namespace, name] = kmsConnection.split('/');
  return {
    version: n,
    ...(kmsId === null ? {} : { id: kmsId }),
    state,
    // A connection of the main configuration file has no namespace, and no resource.
    ...(namespace === undefined || name === undefined ? {} : { kmsConnectionRef: { name, namespace } }),
  };
}

/** Usage and progress: the shown ones, unless new ones are worth writing or the rewrap began or ended. */
function figures(
  report: BucketReport,
  { present, writtenMs, steadyMs, nowMs }: FactsContext,
): {
  readonly usage: NonNullable<EncryptedBucketStatus['usage']>;
  readonly rewrap: NonNullable<EncryptedBucketStatus['rewrap']>;
  readonly fresh: boolean;
} {
  const usesOf = ({ uses }: KeyVersionReport): number => uses.versions + uses.uploads;
  const total = report.keyVersions.reduce((sum, version) => sum + usesOf(version), 0);
  const current = report.keyVersions.find(({ n }) => n === report.keyVersion);
  const done = current === undefined ? 0 : usesOf(current);
  const { objects, bytes } = report.usage;
  const shown = present.usage;
  const shownRewrap = present.rewrap;
  const clock = { writtenMs, nowMs: steadyMs };
  const worth = (before: number | undefined, value: number): boolean => isWorthWriting(before, value, clock);
  const turned = shownRewrap === undefined || (shownRewrap.done === shownRewrap.total) !== (done === total);
  const fresh =
    turned ||
    worth(shown?.objects, objects) ||
    worth(shown === undefined ? undefined : bytesIn(shown.size), bytes) ||
    worth(shownRewrap.done, done) ||
    worth(shownRewrap.total, total);
  if (!fresh && shown !== undefined && shownRewrap !== undefined) {
    return { usage: shown, rewrap: shownRewrap, fresh: false };
  }
  return {
    usage: { objects, size: quantityText(bytes), observedTime: timeText(nowMs) },
    rewrap: { done, total },
    fresh: true,
  };
}
