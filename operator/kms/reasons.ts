/** Every condition of a KMSConnection with the reasons that it may have. docs/troubleshooting.md explains each. */
export const CONNECTION_REASONS = {
  /** Or the reason of the first part that does not hold. */
  Ready: ['Ready'],
  CertificateValid: [
    'Valid',
    'ExpiresSoon',
    'SecretNotFound',
    'SecretInvalid',
    'CertificateExpired',
    'CertificateNotYetValid',
    'CaNotFound',
    'CaInvalid',
    'CredentialsNotFound',
    'CredentialsInvalid',
    'NothingRendered',
  ],
  Reachable: [
    'AllEndpointsReached',
    'SomeEndpointsNotReached',
    'Unreachable',
    'TlsFailed',
    'KmsFailed',
    'NotProbed',
  ],
  Authenticated: ['Accepted', 'AuthenticationFailed', 'PermissionDenied', 'NotProbed'],
  FleetSynced: [
    'Synced',
    'NotSynced',
    'SecretFull',
    'SecretNotWritable',
    'ConfigRefused',
    'PodUnreachable',
    'NoPods',
    'NothingRendered',
  ],
  DeletionBlocked: ['NotDeleting', 'InUse', 'DataPlaneUnreachable', 'BeingRemoved', 'SecretNotWritable'],
} as const;

export type ConnectionConditionType = keyof typeof CONNECTION_REASONS;
export type ReasonOf<Type extends ConnectionConditionType> = (typeof CONNECTION_REASONS)[Type][number];
/** Why the material of a connection cannot be used. */
export type CertificateReason = Exclude<
  ReasonOf<'CertificateValid'>,
  'Valid' | 'ExpiresSoon' | 'NothingRendered'
>;
/** Why the files of a connection cannot be written. */
export type ShardReason = Extract<ReasonOf<'FleetSynced'>, 'SecretFull' | 'SecretNotWritable'>;
