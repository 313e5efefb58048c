/** The control rows that settings and keys hang on, as documents: buckets and key versions (docs/format.md). */

/** 128 random bits as 32 lower-case hex characters. */
export type Id = string;

/** Settings of one bucket, a control row. `revision` grows by one with each change. */
export interface BucketDocument {
  readonly name: string;
  readonly bucketUid: Id;
  readonly revision: number;
  readonly ownerId: string;
  readonly region: string;
  readonly createdMs: number;
  /**
   * Creating: the key of an encrypted bucket is not ready; everyone but its creator sees 404. Deleting: it is being purged;
   * nobody sees it, and nothing is committed into it any more.
   */
  readonly state: 'Creating' | 'Ready' | 'Deleting';
  readonly encryption: 'AES256' | null;
  /** The key version that new writes use; null until a first one is ready. */
  readonly keyVersion: number | null;
  /** True from a plain creation or once encryption was switched off; only then may a row lack a descriptor. */
  readonly everPlain: boolean;
  readonly versioning: 'Unversioned';
  /** A new key version is made when the current one is this old; null = only when somebody asks. */
  readonly rotateEveryMs: number | null;
  /** namespace/name of the resource that declared it; null = it was made over S3. */
  readonly owner: string | null;
  /** The declared connection, over which the next key version is made; null = that of the current one. */
  readonly kmsConnection: string | null;
}

/**
 * What a key version may be used for. Creating: it is being made. Current: new seals, one version of a bucket at a time.
 * Readable: replaced by a rotation, still named by sealed keys. Retiring: nothing names it and no commit can any more;
 * its revocation is due. Revoked and Destroyed: what the KMS was told.
 */
type KeyVersionState = 'Creating' | 'Current' | 'Readable' | 'Retiring' | 'Revoked' | 'Destroyed';

/** Who asked for a key version, and since when it is used. */
interface RotationMark {
  /** Of the caller, so that asking twice rotates once; null = by schedule. */
  readonly requestId: string | null;
  /** When the version became the current one; 0 until then. */
  readonly rotatedMs: number;
}

/** One version of a bucket key, a control row that outlives its bucket. The key itself lives in the KMS. */
export interface KeyVersionDocument {
  readonly bucketUid: Id;
  readonly n: number;
  readonly revision: number;
  readonly kmsConnection: string;
  /** The unique name reserved before the key is created. */
  readonly kmsName: string;
  /** The KMS's identifier, stored as soon as Create answered. */
  readonly kmsId: string | null;
  /** 16 hex characters: first 8 bytes of HMAC-SHA-256(bucket key, "sealgate/v1/kcv"). */
  readonly keyCheckValue: string | null;
  readonly state: KeyVersionState;
  readonly reservedMs: number;
  /** Incarnation of the process that is making the key; null = nobody is. */
  readonly attempt: Id | null;
  /** null: the first version of its bucket, which no rotation made. */
  readonly rotation: RotationMark | null;
  /** A request to rotate that was known when a first version was made, which is as good as made by it; null: none was. */
  readonly answers: string | null;
}
