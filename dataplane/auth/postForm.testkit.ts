/** Signed POST forms. Used by tests only. */
import { authenticatePost, type PostAuthentication } from './authenticatePost.ts';
import { ACCESS_KEY, deps, hmacHex, signingKey } from './signer.testkit.ts';

export const DATE = '20151229T000000Z';
export const NOW = Date.UTC(2015, 11, 29, 12);
export const BUCKET = 'sigv4examplebucket';
export const CREDENTIAL = `${ACCESS_KEY}/20151229/us-east-1/s3/aws4_request`;

export type Fields = Readonly<Record<string, string>>;

export function post(fields: Fields, nowMs = NOW, bucket = BUCKET): PostAuthentication {
  return authenticatePost(new Map(Object.entries(fields)), bucket, deps({ now: () => nowMs }));
}

export const STANDING_CONDITIONS: readonly unknown[] = [
  { bucket: BUCKET },
  { 'x-amz-credential': CREDENTIAL },
  { 'x-amz-algorithm': 'AWS4-HMAC-SHA256' },
  { 'x-amz-date': DATE },
];

/** A signed form with that policy text; the fields of the signature come by themselves. */
export function formOf(policyText: string, fields: Fields): Fields {
  const policy = Buffer.from(policyText, 'utf8').toString('base64');
  return {
    'x-amz-credential': CREDENTIAL,
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-date': DATE,
    policy,
    'x-amz-signature': hmacHex(signingKey('20151229'), policy),
    ...fields,
  };
}

export function formWith(
  conditions: readonly unknown[],
  fields: Fields,
  expiration = '2015-12-30T12:00:00.000Z',
): Fields {
  const policy = { expiration, conditions: [...STANDING_CONDITIONS, ...conditions] };
  return formOf(JSON.stringify(policy), fields);
}
