/** Tells the KMS that a retired key version is no longer used (docs/kms.md): Revoke, never Destroy. */
import type { KeyProvider } from '../keys/keys.ts';
import type { KeyVersionDocument, Metadata } from '../metadata/metadata.ts';

/**
 * Revokes the key of a version in state Retiring and records it: Revoked, or Destroyed when there is no key under its
 * name. May be repeated after a crash at any point. Rejects with KmsError and MetadataError.
 */
export async function revokeRetired(
  {
    metadata,
    keys,
  }: {
    readonly metadata: Pick<Metadata, 'putKeyVersion'>;
    readonly keys: Pick<KeyProvider, 'locateKey' | 'revokeKey'>;
  },
  row: KeyVersionDocument,
): Promise<KeyVersionDocument> {
  const { kmsConnection, kmsName, reservedMs } = row;
  // A version whose making was given up may have a key whose identifier never arrived.
  const kmsId = row.kmsId ?? (await keys.locateKey(kmsConnection, kmsName, reservedMs))?.kmsId ?? null;
  if (kmsId !== null) await keys.revokeKey(kmsConnection, kmsId);
  const state = kmsId === null ? 'Destroyed' : 'Revoked';
  const revoked = { ...row, revision: row.revision + 1, kmsId, state } as const;
  await metadata.putKeyVersion(revoked);
  return revoked;
}
