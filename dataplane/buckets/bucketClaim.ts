/** Why a bucket is not the caller's to declare or to remove. */
type BucketClaimRefusal =
  /** It has another owner, or was made over S3. */
  | 'BucketNameTaken'
  /** It is plain and not empty: what it holds would stay plain. */
  | 'NotEncryptable'
  /** It is being purged. */
  | 'BucketDeleting'
  /** Another request is making its key. */
  | 'BeingMade';

export class BucketClaimError extends Error {
  readonly code: BucketClaimRefusal;
  constructor(code: BucketClaimRefusal, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BucketClaimError';
    this.code = code;
  }
}

/** Refuses for a bucket of another owner; `owner` null: only one that nobody declared is the caller's. */
export function requireOwner(
  bucket: { readonly name: string; readonly owner: string | null },
  owner: string | null,
): void {
  if (bucket.owner === owner) return;
  const whose = bucket.owner === null ? 'was made over S3' : `is declared by ${bucket.owner}`;
  throw new BucketClaimError('BucketNameTaken', `bucket ${bucket.name} ${whose}`);
}
