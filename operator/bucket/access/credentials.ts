/** Access keys: how they are made, and what a permission allows. */
import { z } from 'zod';
import type { AccessEntry } from '../../../crds/encryptedbucket.ts';
import {
  accessKeyId,
  type Grant,
  type Permission,
  putAccessKey,
} from '../../../dataplane/admin/schema/accessKeys.ts';

export interface Credential {
  readonly id: string;
  /** A secret. */
  readonly secret: string;
}

/** Cryptographically random bytes. */
export interface RandomBytes {
  (size: number): Uint8Array;
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** A new key: 20 characters that begin with SG (90 random bits), and a secret of 40 characters (240 bits). */
export function newCredential(randomBytes: RandomBytes): Credential {
  const text = (length: number, alphabet: string): string =>
    [...randomBytes(length)].map((byte) => alphabet.charAt(byte % alphabet.length)).join('');
  return { id: `SG${text(18, BASE32)}`, secret: text(40, BASE64URL) };
}

const credential = z.object({
  id: accessKeyId,
  secret: putAccessKey.shape.secretAccessKey.unwrap(),
});

/** The credential in a Secret's decoded content; null: there is none that the data plane would take. */
export function credentialIn(content: Readonly<Record<string, string>>): Credential | null {
  const parsed = credential.safeParse({
    id: content['AWS_ACCESS_KEY_ID'],
    secret: content['AWS_SECRET_ACCESS_KEY'],
  });
  return parsed.success ? parsed.data : null;
}

const PERMISSIONS: Readonly<Record<AccessEntry['permissions'], readonly Permission[]>> = {
  ReadOnly: ['read', 'list'],
  WriteOnly: ['write'],
  ReadWrite: ['read', 'write', 'list', 'delete'],
  Admin: ['read', 'write', 'list', 'delete', 'admin'],
};

/** What a key of that entry may do: in this bucket, and nowhere else. */
export function grantsOf(bucket: string, { permissions }: Pick<AccessEntry, 'permissions'>): Grant[] {
  return [{ bucket, prefix: '', permissions: [...PERMISSIONS[permissions]] }];
}

/** Whether they allow the same; the order does not count. */
export function sameGrants(a: readonly Grant[], b: readonly Grant[]): boolean {
  const text = (grants: readonly Grant[]): string =>
    JSON.stringify(
      grants
        .map(({ bucket, prefix, permissions }) => [bucket, prefix, permissions.toSorted()])
        .toSorted((x, y) => (JSON.stringify(x) < JSON.stringify(y) ? -1 : 1)),
    );
  return text(a) === text(b);
}
