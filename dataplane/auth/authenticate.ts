/**
 * Who sent a request, proven by AWS Signature Version 4 in the Authorization header or in the query.
 *
 * Owns everything about signatures of requests and POST policies. It must not know operations, buckets'
 * policies or bodies: chunk signatures are verified in s3/body, from the signing context that is returned here.
 */
import { S3Error } from '../s3/errors.ts';
import type { HeaderBag, Query, Target } from '../s3/request.ts';
import type { AuthenticationDeps } from './credentials.ts';
import { parseHeaderAuthorization } from './headerAuthorization.ts';
import { parsePresigned } from './presigned.ts';
import { type Authentication, type Claim, verifyClaim } from './verify.ts';

/**
 * Verifies the signature of a request. Nothing of the request may be acted on before this returned.
 * @throws S3Error with S3's code for what is wrong; AccessDenied when the request is not signed at all.
 */
export function authenticate(target: Target, headers: HeaderBag, deps: AuthenticationDeps): Authentication {
  const claim = readClaim(target.query, headers, deps);
  return verifyClaim(claim, target, headers, deps);
}

function readClaim(query: Query, headers: HeaderBag, deps: AuthenticationDeps): Claim {
  const authorizations = headers.all('authorization').filter((value) => value !== '');
  const names = new Set(query.entries.map(([name]) => name.toLowerCase()));
  const presigned =
    names.has('x-amz-algorithm') || names.has('x-amz-signature') || names.has('x-amz-credential');
  const version2 = query.has('AWSAccessKeyId') || query.has('Signature');
  const authorization = authorizations[0];

  if (authorizations.length > 1 || (authorization !== undefined && (presigned || version2))) {
    throw new S3Error(
      'InvalidArgument',
      'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
      { details: { ArgumentName: 'Authorization' } },
    );
  }
  if (authorization === undefined && !presigned && !version2) throw new S3Error('AccessDenied');
  if (version2) throw unsupportedMechanism();
  if (headers.has('x-amz-security-token') || names.has('x-amz-security-token')) {
    throw new S3Error('InvalidToken');
  }
  if (authorization === undefined) return parsePresigned(query, headers, deps);
  if (/^AWS [^ ]*:/.test(authorization)) throw unsupportedMechanism();
  return parseHeaderAuthorization(authorization, headers, deps);
}

function unsupportedMechanism(): S3Error {
  return new S3Error(
    'InvalidRequest',
    'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
  );
}
