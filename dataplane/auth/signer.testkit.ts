/** A second, deliberately plain SigV4 signer, and the keys of AWS's published examples. Used by tests only. */
import { createHash, createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { S3Error } from '../s3/errors.ts';
import { HeaderBag, type Target } from '../s3/request.ts';
import { parseTarget } from '../s3/target.ts';
import type { AuthenticationDeps } from './credentials.ts';
import { SigningKeys } from './signingKeys.ts';

export const ACCESS_KEY = 'AKIAIOSFODNN7EXAMPLE';
export const SECRET_KEY = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
export const OWNER = 'a'.repeat(64);
export const TIMESTAMP = '20130524T000000Z';
export const NOW_MS = Date.UTC(2013, 4, 24);
export const SCOPE = '20130524/us-east-1/s3/aws4_request';
export const HOST = 'examplebucket.s3.amazonaws.com';
export const EMPTY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export function deps(changes: Partial<AuthenticationDeps> = {}): AuthenticationDeps {
  return {
    credentials: (id) =>
      id === ACCESS_KEY ? { secretAccessKey: SECRET_KEY, ownerId: OWNER, rights: 'everything' } : null,
    region: 'us-east-1',
    clockSkewMs: 15 * 60 * 1000,
    signingKeys: new SigningKeys(),
    now: () => NOW_MS,
    ...changes,
  };
}

export type HeaderList = readonly (readonly [string, string])[];

export function bag(headers: HeaderList): HeaderBag {
  return new HeaderBag(headers.flat());
}

export function target(method: string, url: string, host = HOST): Target {
  return parseTarget(method, url, host, ['s3.amazonaws.com']);
}

export function signingKey(date = '20130524', region = 'us-east-1'): KeyObject {
  const step = (key: string | Buffer, text: string): Buffer =>
    createHmac('sha256', key).update(text).digest();
  return createSecretKey(step(step(step(step(`AWS4${SECRET_KEY}`, date), region), 's3'), 'aws4_request'));
}

export function hmacHex(key: KeyObject, text: string): string {
  return createHmac('sha256', key).update(text).digest('hex');
}

/** Signature of a request whose canonical form the test wrote down itself. */
export function signCanonical(canonical: string, timestamp = TIMESTAMP, scope = SCOPE): string {
  const hash = createHash('sha256').update(canonical, 'latin1').digest('hex');
  const [date = '', region = ''] = scope.split('/');
  return hmacHex(signingKey(date, region), `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${hash}`);
}

export function authorization(
  signedHeaders: string,
  signature: string,
  scope = SCOPE,
): readonly [string, string] {
  return [
    'Authorization',
    `AWS4-HMAC-SHA256 Credential=${ACCESS_KEY}/${scope},SignedHeaders=${signedHeaders},Signature=${signature}`,
  ];
}

/** What a call that must fail threw. */
export function failure(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
