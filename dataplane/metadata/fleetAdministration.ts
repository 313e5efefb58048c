/** The operations that the administration of a fleet stands on: removal of full buckets, uses of connections, epochs. */
import type { BucketDocument, Id } from './documents.ts';

/** What a bucket must still be when it is removed. */
export type RemovableBucket = Pick<BucketDocument, 'state' | 'owner'>;

/** What hangs on a KMS connection. */
export interface ConnectionUse {
  /** Key versions under it that are not Destroyed, of existing and of deleted buckets. */
  readonly keyVersions: number;
  /** Existing buckets whose current key version is under it. */
  readonly buckets: number;
}

export interface FleetAdministration {
  /**
   * Removes about `limit` rows of a bucket in state Deleting, in one transaction: its versions, then the parts of its open
   * uploads and the uploads. Blobs become garbage. Resolves to how many rows went; 0: nothing is left. 'NoSuchBucket' for a
   * bucket that is gone or in another state.
   */
  purge(name: string, bucketUid: Id, limit: number): Promise<number>;
  connectionUse(connection: string): Promise<ConnectionUse>;
  /** The newest epoch that was taken; 0: none was. */
  epoch(): Promise<number>;
  /** Takes the next epoch and resolves to it once it is durable. */
  takeEpoch(): Promise<number>;
}
