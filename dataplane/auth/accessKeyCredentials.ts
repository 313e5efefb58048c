/** Credentials of access keys: the row is read for every request, its secret is opened once. */
import type { KeyObject } from 'node:crypto';
import { rightsOf } from '../authorization/grants.ts';
import { openAccessKeySecret } from '../crypto/accessKeySecret.ts';
import { FormatError } from '../crypto/errors.ts';
import { type AccessKeyDocument, type Metadata, MetadataError } from '../metadata/metadata.ts';
import type { Credential, CredentialLookup } from './credentials.ts';

const DEFAULT_LIMIT = 1024;

export interface AccessKeyCredentialsOptions {
  readonly metadata: Pick<Metadata, 'accessKey'>;
  readonly installationKey: KeyObject;
  /** Whom all access keys act for: the one account of the installation. */
  readonly ownerId: string;
  /** Wall clock, Unix milliseconds. */
  readonly now: () => number;
  /** How many opened secrets are kept; the oldest goes first. */
  readonly limit?: number;
}

interface Opened {
  readonly document: AccessKeyDocument;
  readonly credential: Credential;
}

/**
 * A lookup for one thread. What it opened serves as long as the row is what it was, byte for byte; a key that is gone or
 * has expired is null from that request on, and its secret is let go.
 *
 * The lookup throws MetadataError 'Integrity' for a row that was edited: it is a fault of ours, and nothing that a client
 * should take for an unknown key.
 */
export function accessKeyCredentials(options: AccessKeyCredentialsOptions): CredentialLookup {
  const { metadata, installationKey, ownerId, now, limit = DEFAULT_LIMIT } = options;
  const opened = new Map<string, Opened>();

  const open = (document: AccessKeyDocument): Credential => ({
    secretAccessKey: openStoredSecret(installationKey, document),
    ownerId,
    rights: rightsOf(document.grants),
  });

  return (accessKeyId) => {
    const document = metadata.accessKey(accessKeyId);
    if (document === null || (document.expiresMs !== null && document.expiresMs <= now())) {
      opened.delete(accessKeyId);
      return null;
    }
    const known = opened.get(accessKeyId);
    // The engine gives the same object for the same bytes only.
    if (known?.document === document) return known.credential;
    const credential = open(document);
    opened.delete(accessKeyId);
    opened.set(accessKeyId, { document, credential });
    if (opened.size > limit) {
      for (const oldest of opened.keys()) {
        opened.delete(oldest);
        break;
      }
    }
    return credential;
  };
}

/** The secret of a verified row. MetadataError 'Integrity' when it does not open all the same. */
export function openStoredSecret(
  installationKey: KeyObject,
  { accessKeyId, secretSalt, sealedSecret }: AccessKeyDocument,
): string {
  try {
    return openAccessKeySecret(installationKey, accessKeyId, {
      secretSalt: Buffer.from(secretSalt, 'base64'),
      sealedSecret: Buffer.from(sealedSecret, 'base64'),
    });
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw new MetadataError('Integrity', cause.message, { cause });
  }
}
