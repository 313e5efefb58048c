/**
 * The key provider interface, as workers see it.
 *
 * Owns bucket keys: where they come from, how long they are kept, when they are forgotten. Behind it one
 * key-holder thread per process speaks KMIP. It must not know objects, metadata or HTTP.
 */
import type { KeyObject } from 'node:crypto';

/** Which key: connection and identifier in the KMS, and the check value that its bytes must have. */
export interface KeyRef {
  readonly connection: string;
  readonly kmsId: string;
  /** 16 hex characters. */
  readonly keyCheckValue: string;
}

/** What Locate by our unique name found. */
export interface LocatedKey {
  readonly kmsId: string;
}

export interface KeyProvider {
  /** The bucket key, from the cache or the KMS. Rejects with KmsError. A compromised key is for reading only. */
  bucketKey(ref: KeyRef, use: 'read' | 'write'): Promise<KeyObject>;
  /** KMIP Create under this name; resolves to the KMS's identifier. KmsError.maybeDone tells if a key may exist. */
  createKey(connection: string, kmsName: string): Promise<string>;
  /** KMIP Locate by name: null = none; several, or one that is not ours, is KmsError 'Conflict'. */
  locateKey(connection: string, kmsName: string, reservedMs: number): Promise<LocatedKey | null>;
  /** Activates if Pre-Active, fetches once, and resolves to the check value (16 hex characters). */
  activateKey(connection: string, kmsId: string): Promise<string>;
  /**
   * KMIP Revoke for cessation of operation, so that an Active key becomes Deactivated: readable, never written with
   * again. A key that is in any other state, or gone, is left as it is. Rejects with KmsError.
   */
  revokeKey(connection: string, kmsId: string): Promise<void>;
  /**
   * KMIP Destroy: what only this key opens is lost for ever. A key that is gone already is fine; an Active one is
   * refused with KmsError 'InvalidState' and must be revoked first.
   */
  destroyKey(connection: string, kmsId: string): Promise<void>;
}

export type KmsErrorCode =
  /** No usable key and the KMS cannot be reached: 503 with Retry-After. */
  | 'Unavailable'
  /** 403 KMS.AccessDenied */
  | 'AccessDenied'
  /** 400 KMS.NotFound */
  | 'NotFound'
  /** 400 KMS.InvalidState */
  | 'InvalidState'
  /** Wrong check value: 500, alarm. */
  | 'KeyMismatch'
  /** Several keys under our unique name, or one that is not ours. */
  | 'Conflict'
  /** The KMS refused for another lasting reason; the message says which. */
  | 'Refused'
  /** No such connection in the configuration. */
  | 'UnknownConnection';

export class KmsError extends Error {
  readonly code: KmsErrorCode;
  /** True when a mutation may have happened although no answer came. */
  readonly maybeDone: boolean;
  constructor(code: KmsErrorCode, message: string, options?: ErrorOptions & { maybeDone?: boolean }) {
    super(message, options);
    this.name = 'KmsError';
    this.code = code;
    this.maybeDone = options?.maybeDone ?? false;
  }
}
