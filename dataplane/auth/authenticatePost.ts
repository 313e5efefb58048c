import { S3Error, type S3ErrorDetails } from '../s3/errors.ts';
import type { Principal } from '../s3/request.ts';
import { parseCredentialScope } from './credentialScope.ts';
import type { AuthenticationDeps } from './credentials.ts';
import { type ContentLengthRange, checkPostPolicy, parsePostPolicy } from './postPolicy.ts';
import { ALGORITHM, sign, signatureMismatch, signaturesMatch } from './signature.ts';
import { formatErrorTime, parseTimestamp } from './signingTime.ts';

/** A signing key serves for seven days; policies may last as long. */
const MAX_AGE_MS = 7 * 24 * 3600 * 1000;

export interface PostAuthentication {
  readonly principal: Principal;
  /** Sizes that the policy allows for the file; null: any. The caller enforces it while the file arrives. */
  readonly contentLengthRange: ContentLengthRange | null;
}

/**
 * Verifies the signed policy of a POST form. Source: S3 API, "Authenticating requests in browser-based uploads".
 * `fields` are all fields before the file: lower-case names, `${filename}` already replaced by the caller, as S3
 * matches conditions against expanded fields. `bucket` is the bucket that the request was sent to.
 * @throws S3Error AccessDenied, InvalidArgument, InvalidRequest, InvalidToken, InvalidAccessKeyId,
 * SignatureDoesNotMatch, InvalidPolicyDocument, AuthorizationQueryParametersError (credential).
 */
export function authenticatePost(
  fields: ReadonlyMap<string, string>,
  bucket: string,
  deps: AuthenticationDeps,
): PostAuthentication {
  if (fields.has('awsaccesskeyid') || fields.has('signature')) {
    throw new S3Error(
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    );
  }
  if (!fields.has('policy') && !fields.has('x-amz-signature')) throw new S3Error('AccessDenied');
  if (fields.has('x-amz-security-token')) throw new S3Error('InvalidToken');

  const policyBase64 = required(fields, 'policy', 'Policy');
  const algorithm = required(fields, 'x-amz-algorithm', 'X-Amz-Algorithm');
  const credentialText = required(fields, 'x-amz-credential', 'X-Amz-Credential');
  const date = required(fields, 'x-amz-date', 'X-Amz-Date');
  const signature = required(fields, 'x-amz-signature', 'X-Amz-Signature');
  if (algorithm !== ALGORITHM) {
    throw invalidArgument(`X-Amz-Algorithm only supports "${ALGORITHM}"`, 'X-Amz-Algorithm', algorithm);
  }
  const time = parseTimestamp(date);
  if (time === null) {
    throw invalidArgument(
      "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
      'X-Amz-Date',
      date,
    );
  }
  const scope = parseCredentialScope(credentialText, time.timestamp, [deps.region], credentialError);
  const { accessKeyId } = scope;
  const credential = deps.credentials(accessKeyId);
  if (credential === null) {
    deps.signingKeys.forget(accessKeyId);
    throw new S3Error('InvalidAccessKeyId', undefined, { details: { AWSAccessKeyId: accessKeyId } });
  }
  const signingKey = deps.signingKeys.get(accessKeyId, credential.secretAccessKey, scope.date, scope.region);
  if (!signaturesMatch(signature, sign(signingKey, policyBase64))) {
    throw signatureMismatch(accessKeyId, policyBase64, signature);
  }

  const nowMs = deps.now();
  if (time.ms > nowMs + deps.clockSkewMs) {
    throw new S3Error('AccessDenied', 'Invalid according to Policy: Policy is not yet valid.', {
      details: { ServerTime: formatErrorTime(nowMs) },
    });
  }
  const policy = parsePostPolicy(policyBase64);
  const endMs = Math.min(policy.expirationMs, time.ms + MAX_AGE_MS);
  checkPostPolicy({ ...policy, expirationMs: endMs }, new Map(fields).set('bucket', bucket), nowMs);
  return {
    principal: { accessKeyId, ownerId: credential.ownerId, rights: credential.rights },
    contentLengthRange: policy.contentLengthRange,
  };
}

function required(fields: ReadonlyMap<string, string>, name: string, shownName: string): string {
  const value = fields.get(name);
  if (value !== undefined && value !== '') return value;
  throw invalidArgument(
    `Bucket POST must contain a field named '${shownName}'.  If it is specified, please check the order of the fields.`,
    shownName,
    '',
  );
}

function invalidArgument(message: string, ArgumentName: string, ArgumentValue: string): S3Error {
  return new S3Error('InvalidArgument', message, { details: { ArgumentName, ArgumentValue } });
}

function credentialError(problem: string, details: S3ErrorDetails = {}): S3Error {
  return new S3Error(
    'AuthorizationQueryParametersError',
    `Error parsing the X-Amz-Credential parameter; ${problem}`,
    { details },
  );
}
