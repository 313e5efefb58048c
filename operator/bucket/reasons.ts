/** Every condition of an EncryptedBucket with the reasons that it may have. docs/troubleshooting.md explains each. */
export const BUCKET_REASONS = {
  /** Or the reason of the first part that does not hold. */
  Ready: ['Ready', 'RefWithdrawn', 'ConnectionNotReady', 'RotationPending'],
  KeyReady: [
    'KeyActive',
    'RefWithdrawn',
    'RotationPending',
    'ConnectionNotReady',
    'RefNotPermitted',
    'Creating',
    'KmsUnavailable',
    'KmsRefused',
    'BucketNotReady',
    'DataPlaneUnreachable',
  ],
  BucketReady: [
    'Declared',
    'KeyNotReady',
    'BucketNameTaken',
    'BucketTakenOver',
    'AdoptRefused',
    'DeclarationRefused',
    'BeingPurged',
    'Damaged',
    'DataPlaneUnreachable',
  ],
  AccessReady: [
    'SecretsReady',
    'NoAccessDeclared',
    'SecretNotOwned',
    'SecretNotWritable',
    'ImportInvalid',
    'AccessKeyTaken',
    'EndpointUnknown',
    'BucketNotReady',
    'DataPlaneUnreachable',
  ],
  RewrapComplete: [
    'Complete',
    'Rewrapping',
    'RewrapWaiting',
    'SealsDamaged',
    'BucketNotReady',
    'DataPlaneUnreachable',
  ],
  DeletionBlocked: [
    'NotDeleting',
    'ConfirmationRequired',
    'BucketNotEmpty',
    'Purging',
    'DeletionRefused',
    'SecretNotWritable',
    'DataPlaneUnreachable',
  ],
} as const;

export type BucketConditionType = keyof typeof BUCKET_REASONS;
export type ReasonOf<Type extends BucketConditionType> = (typeof BUCKET_REASONS)[Type][number];
