/** What the doctor found: causes in plain words, with what to ask the KMS team for and what to do here. */

/**
 * Stable codes, nearer to the root of trouble first: a report tells its problems in this order, so that the cause comes
 * before what follows from it. docs/doctor.md explains each.
 */
export const FINDING_CODES = [
  'ClockHereWrong',
  'ClientCertificateNotYetValid',
  'ClientCertificateExpired',
  'NameNotFound',
  'NotReachable',
  'NotTls',
  'TlsVersion',
  'ServerCertificateNotTrusted',
  'ServerCertificateExpired',
  'ServerCertificateNotYetValid',
  'ServerCertificateForAnotherName',
  'ServerCertificateRefused',
  'ClientCertificateRefused',
  'HandshakeFailed',
  'ConnectionEnded',
  'NoAnswer',
  'AnswerNotUnderstood',
  'UserNotAccepted',
  'NoCommonVersion',
  'OnlyEncryptAllowed',
  'BatchRefused',
  'KeyNotExportable',
  'RightMissing',
  'OperationNotSupported',
  'ObjectGroupRefused',
  'KmsFailed',
  'RequestRefused',
  'KeyNotFound',
  'WrongState',
  'AttributesWrong',
  'LocateWrong',
  'ClockOff',
  'KeyDiffers',
  'NotReplicated',
  'ThrowAwayKeyLeft',
  'Interrupted',
  'ClientCertificateExpiresSoon',
  'ServerCertificateExpiresSoon',
  'ClientCertificatePurpose',
  'DeactivatedKeyNotReadable',
  'OperationsNotListed',
  'ReplicationSlow',
  'ConnectionNotKept',
  'SlowAnswers',
] as const;

export type FindingCode = (typeof FINDING_CODES)[number];

export interface Finding {
  /** A problem keeps something from working, now or after a crash; a warning will, or costs something. */
  readonly severity: 'Problem' | 'Warning';
  readonly code: FindingCode;
  /** `host:port` of the endpoints that show it; empty when it is not about endpoints. */
  readonly endpoints: readonly string[];
  /** The cause, as whole sentences. */
  readonly what: string;
  /** What the KMS team can do about it, or null. */
  readonly askKmsTeam: string | null;
  /** What whoever runs Sealgate can do about it, or null. */
  readonly doHere: string | null;
}

/** Problems before warnings, causes before consequences; what several endpoints show alike is told once. */
export function ranked(findings: readonly Finding[]): Finding[] {
  const merged: Finding[] = [];
  for (const finding of findings) {
    const index = merged.findIndex(
      (other) =>
        other.severity === finding.severity &&
        other.code === finding.code &&
        other.what === finding.what &&
        other.askKmsTeam === finding.askKmsTeam,
    );
    const same = merged[index];
    if (same === undefined) merged.push(finding);
    else merged[index] = { ...same, endpoints: [...new Set([...same.endpoints, ...finding.endpoints])] };
  }
  const rank = ({ severity, code }: Finding): number =>
    (severity === 'Problem' ? 0 : FINDING_CODES.length) + FINDING_CODES.indexOf(code);
  return merged.toSorted((a, b) => rank(a) - rank(b));
}
