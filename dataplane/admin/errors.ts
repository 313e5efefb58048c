/** The errors of the admin API: one class, one table of statuses. */

const STATUS = {
  InvalidArgument: 400,
  NoSuchBucket: 404,
  NoSuchKeyVersion: 404,
  NoSuchConnection: 404,
  NoSuchAccessKey: 404,
  /** The access key belongs to another owner, or is the root's. */
  AccessKeyTaken: 409,
  /** It has another owner, or was made over S3. */
  BucketNameTaken: 409,
  BucketNotEmpty: 409,
  /** It is being purged. */
  BucketDeleting: 409,
  /** It is plain and not empty, so it cannot be adopted. */
  NotEncryptable: 409,
  /** The bucket has no key. */
  NotEncrypted: 409,
  /** Nobody asked for it. */
  NoReencryption: 404,
  /** The bucket has had one key version only. */
  NothingOlder: 409,
  /** An earlier rotation is not finished, or this one was given up for a later one. */
  RotationConflict: 409,
  /** The key version may not be destroyed. */
  KeyInUse: 409,
  /** The row of the bucket, or of one of its key versions, failed its authentication: an incident, and no outage. */
  Damaged: 409,
  /** Changed by somebody else meanwhile: ask again. */
  Conflict: 409,
  /** The header Sealgate-Epoch is not the newest epoch. */
  StaleEpoch: 412,
  NotImplemented: 501,
  /** The KMS refused for good; the message says why. */
  KmsRefused: 502,
  KmsUnavailable: 503,
  /** The metadata took no more work, or is short of space. */
  Busy: 503,
} as const;

export type AdminErrorCode = keyof typeof STATUS;

/** The HTTP status of a code. */
export function statusOf(code: AdminErrorCode): number {
  return STATUS[code];
}

/** What a client of the admin port is told. The message is for people and holds no secret. */
export class AdminError extends Error {
  readonly code: AdminErrorCode;
  constructor(code: AdminErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AdminError';
    this.code = code;
  }

  /** The HTTP status. */
  get status(): number {
    return statusOf(this.code);
  }
}
