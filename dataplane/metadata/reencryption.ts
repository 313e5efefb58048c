/**
 * The operations that re-encryption stands on: which data keys are older than a key version, and new bodies for versions.
 *
 * docs/format.md, "Re-encryption". A data key is as old as the key version that it was first sealed under; re-sealing and
 * copies by reference do not make it younger, and an upload hands its data key on to its object.
 */
import type { Id } from './documents.ts';
import type { KeyPosition, SealedPage } from './keyRotation.ts';
import type { BlobLocation, NewBody, NewVersion, PartPage } from './metadata.ts';

/** A version whose data key is older. */
export interface OlderVersion extends KeyPosition {
  readonly versionId: Id;
  readonly bodyId: Id;
}

/** The bytes of a version under a new data key. */
export type ReplacementBody =
  | Exclude<NewBody, { readonly kind: 'shared' }>
  | {
      readonly kind: 'parts';
      readonly pages: readonly PartPage[];
      readonly blobs: readonly { readonly location: BlobLocation; readonly storedBytes: number }[];
    };

export interface Reencryption {
  /** Looks at the next `limit` versions of a bucket and returns those whose data key is older than version `below`. */
  olderVersions(query: {
    readonly bucketUid: Id;
    readonly below: number;
    readonly after: KeyPosition | null;
    readonly limit: number;
  }): Promise<SealedPage<OlderVersion, KeyPosition>>;
  /** How many versions and open uploads have a data key older than version `below`. Reads all of them: for a person who waits. */
  olderDataKeys(
    bucketUid: Id,
    below: number,
  ): Promise<{ readonly versions: number; readonly uploads: number }>;
  /**
   * Gives a version another body, data key and record; all that clients see of it stays. False when the version is gone or
   * has another body than `replaces`: then nothing was stored. 'Conflict' when its key version is not Current.
   */
  replaceBody(
    version: NewVersion,
    replaces: { readonly seq: number; readonly bodyId: Id },
    body: ReplacementBody,
  ): Promise<boolean>;
}
