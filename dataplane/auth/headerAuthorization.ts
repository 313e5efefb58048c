import { S3Error, type S3ErrorDetails } from '../s3/errors.ts';
import type { HeaderBag } from '../s3/request.ts';
import { foldedValue } from './canonicalRequest.ts';
import { parseCredentialScope } from './credentialScope.ts';
import type { AuthenticationDeps } from './credentials.ts';
import { ALGORITHM } from './signature.ts';
import { formatErrorTime, headerSigningTime } from './signingTime.ts';
import type { Claim } from './verify.ts';

/**
 * Reads `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`.
 * Source: S3 API, "Authenticating requests: using the Authorization header".
 * @throws S3Error AuthorizationHeaderMalformed, InvalidArgument, InvalidRequest, AccessDenied (no date).
 */
export function parseHeaderAuthorization(
  authorization: string,
  headers: HeaderBag,
  deps: AuthenticationDeps,
): Claim {
  const space = authorization.search(/[ \t]/);
  const algorithm = space < 0 ? authorization : authorization.slice(0, space);
  if (algorithm === 'AWS4-ECDSA-P256-SHA256') {
    throw new S3Error('NotImplemented', 'AWS4-ECDSA-P256-SHA256 is not implemented.');
  }
  if (algorithm !== ALGORITHM) {
    throw new S3Error('InvalidArgument', 'Unsupported Authorization Type', {
      details: { ArgumentName: 'Authorization' },
    });
  }
  const components = parseComponents(authorization.slice(algorithm.length));

  const time = headerSigningTime(headers);
  if (time === null) {
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header');
  }
  const regions = [deps.region, deps.alsoRegion ?? deps.region] as const;
  const credential = parseCredentialScope(components.credential, time.timestamp, regions, malformed);
  if (!headers.has('x-amz-content-sha256')) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
  }
  return {
    credential,
    timestamp: time.timestamp,
    signedHeaders: components.signedHeaders.toLowerCase().split(';'),
    signature: components.signature,
    contentSha256: foldedValue(headers, 'x-amz-content-sha256'),
    checkTime(nowMs: number): void {
      if (Math.abs(nowMs - time.ms) <= deps.clockSkewMs) return;
      throw new S3Error('RequestTimeTooSkewed', undefined, {
        details: {
          RequestTime: time.timestamp,
          ServerTime: formatErrorTime(nowMs),
          MaxAllowedSkewMilliseconds: String(deps.clockSkewMs),
        },
      });
    },
  };
}

interface AuthorizationComponents {
  readonly credential: string;
  readonly signedHeaders: string;
  readonly signature: string;
}

function parseComponents(text: string): AuthorizationComponents {
  const components = new Map<string, string>();
  for (const component of text.split(',')) {
    const trimmed = component.trim();
    const equals = trimmed.indexOf('=');
    const name = trimmed.slice(0, Math.max(equals, 0));
    if (equals < 1 || components.has(name)) {
      throw malformed(`the authorization component "${name || trimmed}" is malformed.`);
    }
    components.set(name, trimmed.slice(equals + 1));
  }
  const credential = components.get('Credential');
  const signedHeaders = components.get('SignedHeaders');
  const signature = components.get('Signature');
  if (!credential || !signedHeaders || !signature || components.size !== 3) {
    throw malformed(
      'the authorization header requires three components: Credential, SignedHeaders, and Signature.',
    );
  }
  return { credential, signedHeaders, signature };
}

function malformed(problem: string, details: S3ErrorDetails = {}): S3Error {
  return new S3Error('AuthorizationHeaderMalformed', `The authorization header is malformed; ${problem}`, {
    details,
  });
}
