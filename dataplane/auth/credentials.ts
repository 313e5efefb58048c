import type { Rights } from '../authorization/grants.ts';
import type { SigningKeys } from './signingKeys.ts';

/** The secret half of an access key, whom its requests act for, and what they may do. */
export interface Credential {
  readonly secretAccessKey: string;
  /** Canonical user id: 64 hex characters. */
  readonly ownerId: string;
  readonly rights: Rights;
}

/** null: no such access key, or not any more. Asked for every request. */
export type CredentialLookup = (accessKeyId: string) => Credential | null;

export interface AuthenticationDeps {
  readonly credentials: CredentialLookup;
  /** The one region that requests must be signed for. */
  readonly region: string;
  /** Another region that this request may be signed for, in its Authorization header. */
  readonly alsoRegion?: string;
  /** How far a signing time may lie from ours; S3 says 15 minutes. */
  readonly clockSkewMs: number;
  /** One per worker thread, so that a key is derived once a day. They never outlive the secret: see there. */
  readonly signingKeys: SigningKeys;
  /** Wall clock, Unix milliseconds. */
  now(): number;
}
