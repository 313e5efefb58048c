import { createHmac, hash, type KeyObject, timingSafeEqual } from 'node:crypto';
import { S3Error, type S3ErrorDetails } from '../s3/errors.ts';

/** The only algorithm there is. */
export const ALGORITHM = 'AWS4-HMAC-SHA256';

/** What a request's signature is computed over. Source: S3 API, "String to sign". */
export function requestStringToSign(timestamp: string, scope: string, canonicalRequest: string): string {
  // latin1: header values reach us as latin1-decoded bytes, and it is the bytes that the client signed.
  const digest = hash('sha256', Buffer.from(canonicalRequest, 'latin1'), 'hex');
  return `${ALGORITHM}\n${timestamp}\n${scope}\n${digest}`;
}

/** HMAC-SHA-256 in lower-case hex. */
export function sign(signingKey: KeyObject, stringToSign: string): string {
  return createHmac('sha256', signingKey).update(stringToSign, 'utf8').digest('hex');
}

/** Compares two hex signatures in constant time; anything but 64 hex digits matches nothing. */
export function signaturesMatch(provided: string, expected: string): boolean {
  if (!/^[0-9a-fA-F]{64}$/.test(provided)) return false;
  return timingSafeEqual(Buffer.from(provided, 'hex'), Buffer.from(expected, 'hex'));
}

/** Tells the client what we signed, as S3 does; the canonical request stays out: it may hold SSE-C keys. */
export function signatureMismatch(accessKeyId: string, stringToSign: string, provided: string): S3Error {
  const details: S3ErrorDetails = {
    AWSAccessKeyId: accessKeyId,
    StringToSign: stringToSign,
    SignatureProvided: provided,
  };
  return new S3Error('SignatureDoesNotMatch', undefined, { details });
}
