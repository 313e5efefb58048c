/**
 * Recovery: explains what is stored (inspect) and proves that it is whole (verify), beside a running data plane or
 * without one.
 *
 * Owns the read-only view of metadata, blobs and keys, and the comparison of what they say. It must not write, lock,
 * or have a second way of opening anything: bodies stream through the code of GET.
 */
import type { KeyObject } from 'node:crypto';
import type { BlobStore } from '../blobs/blobs.ts';
import { openFilesystemBlobsReadOnly } from '../blobs/filesystem.ts';
import { bucketKey } from '../buckets/bucketKeys.ts';
import type { Settings } from '../config/settings.ts';
import { controlKey } from '../crypto/control.ts';
import { startKeyHolder } from '../keys/holder.ts';
import { type KeyProvider, KmsError } from '../keys/keys.ts';
import { connectKeyProvider } from '../keys/workerKeys.ts';
import type { Id } from '../metadata/metadata.ts';
import { openSqliteMetadataReadOnly, type ReadOnlyMetadata } from '../metadata/sqlite/sqliteMetadata.ts';

/** What a command was asked about does not exist. */
export class NotFoundError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NotFoundError';
  }
}

export interface Stores {
  readonly metadata: ReadOnlyMetadata;
  readonly blobs: Pick<BlobStore, 'open' | 'incarnations' | 'list'>;
  readonly keys: Pick<KeyProvider, 'bucketKey'>;
  /** The folder of all blobs. */
  readonly blobsPath: string;
}

/** Opens everything that the settings name, for reading. MetadataError 'Unavailable' when there is no metadata. */
export async function openStores(
  settings: Pick<Settings, 'metadata' | 'blobs' | 'installation' | 'kmsConnections'>,
): Promise<Stores & AsyncDisposable> {
  const metadata = openSqliteMetadataReadOnly({
    path: settings.metadata.path,
    controlKey: controlKey(settings.installation.key),
  });
  await using opening = new AsyncDisposableStack();
  opening.defer(() => metadata.close());
  // What a KMS refuses is told by the rejected call; a log line beside it would say it twice.
  const holder = await startKeyHolder({ connections: settings.kmsConnections, logger: silent });
  opening.defer(() => holder.close());
  const keys = connectKeyProvider(holder.connect());
  opening.defer(() => keys.close());
  const opened = opening.move();
  return {
    metadata,
    blobs: openFilesystemBlobsReadOnly(settings.blobs.path),
    blobsPath: settings.blobs.path,
    keys,
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}

const ignore = (): void => {};
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore };

/** The keys of one bucket. A key that could not be had is not asked for again: a KMS that is away is asked once. */
export class BucketKeys {
  readonly #stores: Pick<Stores, 'metadata' | 'keys'>;
  readonly #bucketUid: Id;
  readonly #refused = new Map<number, KmsError>();

  constructor(stores: Pick<Stores, 'metadata' | 'keys'>, bucketUid: Id) {
    this.#stores = stores;
    this.#bucketUid = bucketUid;
  }

  /** Version n. KmsError when the KMS does not give it, MetadataError 'Integrity' when no row names it. */
  async key(n: number): Promise<KeyObject> {
    const refused = this.#refused.get(n);
    if (refused !== undefined) throw refused;
    try {
      return await bucketKey(this.#stores, this.#bucketUid, n, 'read');
    } catch (error) {
      if (error instanceof KmsError) this.#refused.set(n, error);
      throw error;
    }
  }
}
