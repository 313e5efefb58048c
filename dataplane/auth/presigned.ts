import { S3Error, type S3ErrorDetails } from '../s3/errors.ts';
import type { HeaderBag, Query } from '../s3/request.ts';
import { foldedValue } from './canonicalRequest.ts';
import { parseCredentialScope } from './credentialScope.ts';
import type { AuthenticationDeps } from './credentials.ts';
import { ALGORITHM } from './signature.ts';
import { formatErrorTime, parseTimestamp, type SigningTime } from './signingTime.ts';
import type { Claim } from './verify.ts';

/** Seven days: as long as a signing key may be used. */
const MAX_EXPIRES_SECONDS = 604_800;

const PARAMETERS: ReadonlySet<string> = new Set([
  'x-amz-algorithm',
  'x-amz-content-sha256',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-expires',
  'x-amz-signature',
  'x-amz-signedheaders',
]);

/**
 * Reads the X-Amz-* parameters of a presigned URL; their names are matched in any letter case.
 * Source: S3 API, "Authenticating requests: using query parameters".
 * @throws S3Error AuthorizationQueryParametersError, NotImplemented.
 */
export function parsePresigned(query: Query, headers: HeaderBag, deps: AuthenticationDeps): Claim {
  const parameters = signatureParameters(query);
  const algorithm = parameters.get('x-amz-algorithm');
  const credentialText = parameters.get('x-amz-credential');
  const signature = parameters.get('x-amz-signature');
  const date = parameters.get('x-amz-date');
  const signedHeaders = parameters.get('x-amz-signedheaders');
  const expires = parameters.get('x-amz-expires');
  if (!algorithm || !credentialText || !signature || !date || !signedHeaders || !expires) {
    throw invalid(
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  }
  if (algorithm === 'AWS4-ECDSA-P256-SHA256') {
    throw new S3Error('NotImplemented', 'AWS4-ECDSA-P256-SHA256 is not implemented.');
  }
  if (algorithm !== ALGORITHM) throw invalid(`X-Amz-Algorithm only supports "${ALGORITHM}"`);

  const time = parseTimestamp(date);
  if (time === null) {
    throw invalid("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"");
  }
  const expiresSeconds = parseExpires(expires);
  const credential = parseCredentialScope(credentialText, time.timestamp, [deps.region], (problem, details) =>
    invalid(`Error parsing the X-Amz-Credential parameter; ${problem}`, details),
  );
  const header = headers.has('x-amz-content-sha256') ? foldedValue(headers, 'x-amz-content-sha256') : null;
  return {
    credential,
    timestamp: time.timestamp,
    signedHeaders: signedHeaders.toLowerCase().split(';'),
    signature,
    contentSha256: parameters.get('x-amz-content-sha256') ?? header ?? 'UNSIGNED-PAYLOAD',
    checkTime: (nowMs) => checkLifetime(time, expiresSeconds, nowMs, deps.clockSkewMs),
  };
}

/** The parameters of the signature by lower-case name. One that is given twice could be read in two ways: refused. */
function signatureParameters(query: Query): Map<string, string> {
  const parameters = new Map<string, string>();
  for (const [name, value] of query.entries) {
    const folded = name.toLowerCase();
    if (!PARAMETERS.has(folded)) continue;
    if (parameters.has(folded)) throw invalid(`The query parameter ${name} must be given once.`);
    parameters.set(folded, value);
  }
  return parameters;
}

function parseExpires(expires: string): number {
  if (!/^-?\d{1,15}$/.test(expires)) throw invalid('X-Amz-Expires should be a number');
  const seconds = Number(expires);
  if (seconds < 0) throw invalid('X-Amz-Expires must be non-negative');
  if (seconds === 0) throw invalid('X-Amz-Expires must be at least one second');
  if (seconds > MAX_EXPIRES_SECONDS) {
    throw invalid(
      'X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds',
    );
  }
  return seconds;
}

function checkLifetime(time: SigningTime, expiresSeconds: number, nowMs: number, clockSkewMs: number): void {
  if (time.ms > nowMs + clockSkewMs) {
    throw new S3Error('AccessDenied', 'Request is not yet valid', {
      details: { 'X-Amz-Date': time.timestamp, ServerTime: formatErrorTime(nowMs) },
    });
  }
  const endMs = time.ms + expiresSeconds * 1000;
  if (nowMs <= endMs) return;
  throw new S3Error('AccessDenied', 'Request has expired', {
    details: {
      'X-Amz-Expires': String(expiresSeconds),
      Expires: formatErrorTime(endMs),
      ServerTime: formatErrorTime(nowMs),
    },
  });
}

function invalid(message: string, details: S3ErrorDetails = {}): S3Error {
  return new S3Error('AuthorizationQueryParametersError', message, { details });
}
