import { S3Error } from '../s3/errors.ts';
import type { HeaderBag, PayloadForm, Principal, Target } from '../s3/request.ts';
import { canonicalPaths, canonicalRequest } from './canonicalRequest.ts';
import type { CredentialScope } from './credentialScope.ts';
import type { AuthenticationDeps } from './credentials.ts';
import { payloadForm } from './payloadForm.ts';
import { requestStringToSign, sign, signatureMismatch, signaturesMatch } from './signature.ts';

/** Who sent the request, and how its body is framed and proven. */
export interface Authentication {
  readonly principal: Principal;
  readonly payload: PayloadForm;
}

/** What a request says about its own signature, well-formed but not yet believed. */
export interface Claim {
  readonly credential: CredentialScope;
  /** yyyyMMdd'T'HHmmss'Z' */
  readonly timestamp: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  /** The value of x-amz-content-sha256, or what stands for it. */
  readonly contentSha256: string;
  /** Throws when the signing time does not allow the request now. */
  checkTime(nowMs: number): void;
}

/**
 * Recomputes the signature from the request as it arrived.
 * @throws S3Error AccessDenied (unsigned headers, expired), InvalidAccessKeyId, SignatureDoesNotMatch,
 * RequestTimeTooSkewed, InvalidArgument or NotImplemented (payload form).
 */
export function verifyClaim(
  claim: Claim,
  target: Target,
  headers: HeaderBag,
  deps: AuthenticationDeps,
): Authentication {
  requireSignedHeaders(claim.signedHeaders, headers);
  const { accessKeyId, date, region, scope } = claim.credential;
  const credential = deps.credentials(accessKeyId);
  if (credential === null) {
    deps.signingKeys.forget(accessKeyId);
    throw new S3Error('InvalidAccessKeyId', undefined, { details: { AWSAccessKeyId: accessKeyId } });
  }
  const signingKey = deps.signingKeys.get(accessKeyId, credential.secretAccessKey, date, region);
  const { timestamp } = claim;

  const signatures = canonicalPaths(target.rawPath).map((path) => {
    const canonical = canonicalRequest({
      method: target.method,
      path,
      rawQuery: target.rawQuery,
      headers,
      signedHeaders: claim.signedHeaders,
      payloadHash: claim.contentSha256,
    });
    const stringToSign = requestStringToSign(timestamp, scope, canonical);
    return { stringToSign, expected: sign(signingKey, stringToSign) };
  });
  const matching = signatures.find(({ expected }) => signaturesMatch(claim.signature, expected));
  if (matching === undefined) {
    throw signatureMismatch(accessKeyId, signatures.at(-1)?.stringToSign ?? '', claim.signature);
  }
  claim.checkTime(deps.now());
  return {
    principal: { accessKeyId, ownerId: credential.ownerId, rights: credential.rights },
    payload: payloadForm(claim.contentSha256, {
      signingKey,
      timestamp,
      scope,
      seedSignature: matching.expected,
    }),
  };
}

/** host and every x-amz-* header must be signed, or a stranger could add one to a captured request. */
function requireSignedHeaders(signedHeaders: readonly string[], headers: HeaderBag): void {
  const signed = new Set(signedHeaders);
  const required = new Set(['host', ...headers.entries.map(([name]) => name)]);
  const missing = [...required].filter(
    (name) => (name === 'host' || name.startsWith('x-amz-')) && !signed.has(name),
  );
  if (missing.length === 0) return;
  throw new S3Error('AccessDenied', 'There were headers present in the request which were not signed', {
    details: { HeadersNotSigned: missing.join(', ') },
  });
}
