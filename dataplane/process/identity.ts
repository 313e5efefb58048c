/** Names that follow from the configuration. */
import { createHash } from 'node:crypto';

/**
 * The canonical user id of the root credentials, 64 hex characters: S3's "owner". It belongs to the installation, not
 * to an access key, so that new root credentials still own the buckets of the old ones.
 */
export function rootOwnerId(installationId: string): string {
  return createHash('sha256').update(`sealgate/v1/root-owner\0${installationId}`).digest('hex');
}
