import type { SigningKeys } from './signingKeys.ts';

/** The secret half of an access key, and whom its requests act for. */
export interface Credential {
  readonly secretAccessKey: string;
  /** Canonical user id: 64 hex characters. */
  readonly ownerId: string;
}

/** null: no such access key. */
export type CredentialLookup = (accessKeyId: string) => Credential | null;

export interface AuthenticationDeps {
  readonly credentials: CredentialLookup;
  /** The one region that requests must be signed for. */
  readonly region: string;
  /** Another region that this request may be signed for, in its Authorization header. */
  readonly alsoRegion?: string;
  /** How far a signing time may lie from ours; S3 says 15 minutes. */
  readonly clockSkewMs: number;
  /** One per worker thread, so that a key is derived once a day. */
  readonly signingKeys: SigningKeys;
  /** Wall clock, Unix milliseconds. */
  now(): number;
}
