import type { S3Error, S3ErrorDetails } from '../s3/errors.ts';

/** The Credential of a signature, checked against the regions that it may name. */
export interface CredentialScope {
  readonly accessKeyId: string;
  /** yyyyMMdd */
  readonly date: string;
  readonly region: string;
  /** `<date>/<region>/s3/aws4_request`, the scope line of every string to sign. */
  readonly scope: string;
}

/** Makes the error of the place where the Credential was carried: header, query or form. */
export type ScopeError = (problem: string, details?: S3ErrorDetails) => S3Error;

/**
 * Parses `<access key>/<yyyyMMdd>/<region>/s3/aws4_request`. `timestamp` is the signing time (basic ISO 8601);
 * its day must be the scope's. Of the regions that are accepted, the first is the one that errors ask for.
 * @throws what `fail` makes, with S3's own wording of the problem.
 */
export function parseCredentialScope(
  credential: string,
  timestamp: string,
  regions: readonly [string, ...string[]],
  fail: ScopeError,
): CredentialScope {
  const parts = credential.split('/');
  // From the right: nothing forbids a '/' in an access key id.
  const [date, scopeRegion, service, terminal] = parts.slice(-4);
  const accessKeyId = parts.slice(0, -4).join('/');
  if (
    parts.length < 5 ||
    date === undefined ||
    scopeRegion === undefined ||
    service === undefined ||
    terminal === undefined
  ) {
    throw fail('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  }
  if (accessKeyId === '') throw fail('a non-empty Access Key (AKID) must be provided in the credential.');
  if (!/^\d{8}$/.test(date)) {
    throw fail(
      `incorrect date format "${date}". This date in the credential must be in the format "yyyyMMdd".`,
    );
  }
  if (terminal !== 'aws4_request') {
    throw fail(`incorrect terminal "${terminal}". This endpoint uses "aws4_request".`);
  }
  if (service !== 's3') throw fail(`incorrect service "${service}". This endpoint belongs to "s3".`);
  if (!regions.includes(scopeRegion)) {
    const [expected] = regions;
    throw fail(`the region '${scopeRegion}' is wrong; expecting '${expected}'`, { Region: expected });
  }
  if (!timestamp.startsWith(date)) {
    const day = timestamp.slice(0, 8);
    throw fail(`Invalid credential date "${date}". This date is not the same as X-Amz-Date: "${day}".`);
  }
  return { accessKeyId, date, region: scopeRegion, scope: `${date}/${scopeRegion}/s3/aws4_request` };
}
