import { describe, expect, it } from 'vitest';
import { S3Error } from '../s3/errors.ts';
import { authenticate } from './authenticate.ts';
import {
  ACCESS_KEY,
  bag,
  deps,
  EMPTY_SHA256,
  failure,
  type HeaderList,
  HOST,
  NOW_MS,
  OWNER,
  SCOPE,
  signCanonical,
  TIMESTAMP,
  target,
} from './signer.testkit.ts';

type Parameters = Readonly<Record<string, string>>;

const PARAMETERS: Parameters = {
  'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
  'X-Amz-Credential': `${ACCESS_KEY}/${SCOPE}`,
  'X-Amz-Date': TIMESTAMP,
  'X-Amz-Expires': '86400',
  'X-Amz-SignedHeaders': 'host',
};

function queryOf(parameters: Parameters): string {
  return Object.entries(parameters)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join('&');
}

/** A presigned `GET /test.txt`; `headerLines` and `payload` as the canonical request has them. */
function presign(
  changes: Parameters = {},
  headerLines = `host:${HOST}\n`,
  payload = 'UNSIGNED-PAYLOAD',
): string {
  const parameters: Parameters = { ...PARAMETERS, ...changes };
  const query = queryOf(parameters);
  const signed = parameters['X-Amz-SignedHeaders'];
  const canonical = `GET\n/test.txt\n${query}\n${headerLines}\n${signed}\n${payload}`;
  return `/test.txt?${query}&X-Amz-Signature=${signCanonical(canonical)}`;
}

function failureOf(url: string, headers?: HeaderList, nowMs?: number): S3Error {
  return failure(() => accept(url, headers, nowMs));
}

function accept(url: string, headers: HeaderList = [['Host', HOST]], nowMs = NOW_MS): unknown {
  return authenticate(target('GET', url), bag(headers), deps({ now: () => nowMs }));
}

describe('a presigned URL', () => {
  it('is the one that AWS publishes', () => {
    const url = presign();
    expect(url).toMatch(/X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404$/);
    expect(accept(url)).toEqual({
      principal: { accessKeyId: ACCESS_KEY, ownerId: OWNER, rights: 'everything' },
      payload: { kind: 'unsigned' },
    });
  });

  it('may have its parameters in any order', () => {
    const parameters = presign().slice('/test.txt?'.length).split('&').reverse().join('&');
    expect(() => accept(`/test.txt?${parameters}`)).not.toThrow();
  });

  it('may have the names of its parameters in another letter case, if they were signed so', () => {
    const lower = queryOf(
      Object.fromEntries(Object.entries(PARAMETERS).map(([name, value]) => [name.toLowerCase(), value])),
    );
    const canonical = `GET\n/test.txt\n${lower}\nhost:${HOST}\n\nhost\nUNSIGNED-PAYLOAD`;
    expect(() => accept(`/test.txt?${lower}&x-amz-SIGNATURE=${signCanonical(canonical)}`)).not.toThrow();
  });

  it('pins the payload when x-amz-content-sha256 is in the query', () => {
    const url = presign({ 'X-Amz-Content-Sha256': EMPTY_SHA256 }, `host:${HOST}\n`, EMPTY_SHA256);
    expect(accept(url)).toMatchObject({ payload: { kind: 'sha256' } });
  });

  it('pins the payload when x-amz-content-sha256 is a signed header', () => {
    const url = presign(
      { 'X-Amz-SignedHeaders': 'host;x-amz-content-sha256' },
      `host:${HOST}\nx-amz-content-sha256:${EMPTY_SHA256}\n`,
      EMPTY_SHA256,
    );
    const headers: HeaderList = [
      ['Host', HOST],
      ['X-Amz-Content-Sha256', EMPTY_SHA256],
    ];
    expect(accept(url, headers)).toMatchObject({ payload: { kind: 'sha256' } });
    expect(failureOf(url).code).toBe('SignatureDoesNotMatch');
  });

  it('leaves x-amz-checksum-* in the query alone: it is signed and means nothing', () => {
    expect(() => accept(presign({ 'x-amz-checksum-crc32': 'AAAAAA==' }))).not.toThrow();
  });

  const required =
    'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.';

  it.each([...Object.keys(PARAMETERS), 'X-Amz-Signature'])('without %s is refused', (name) => {
    const url = presign()
      .replace(new RegExp(`[?&]${name}=[^&]*`), '')
      .replace('.txt&', '.txt?');
    const error = failureOf(url);
    expect([error.code, error.message]).toEqual(['AuthorizationQueryParametersError', required]);
  });

  const refused: [name: string, url: string, code: string, message: RegExp][] = [
    [
      'another algorithm',
      presign({ 'X-Amz-Algorithm': 'AWS4-HMAC-SHA1' }),
      'AuthorizationQueryParametersError',
      /only supports/,
    ],
    ['SigV4A', presign({ 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' }), 'NotImplemented', /AWS4-ECDSA/],
    [
      'a date in another format',
      presign({ 'X-Amz-Date': '2013-05-24T00:00:00Z' }),
      'AuthorizationQueryParametersError',
      /ISO8601 Long Format/,
    ],
    [
      'a date that no calendar has',
      presign({ 'X-Amz-Date': '20130230T000000Z' }),
      'AuthorizationQueryParametersError',
      /ISO8601 Long Format/,
    ],
    [
      'Expires of a week and a second',
      presign({ 'X-Amz-Expires': '604801' }),
      'AuthorizationQueryParametersError',
      /less than a week/,
    ],
    [
      'Expires of 0',
      presign({ 'X-Amz-Expires': '0' }),
      'AuthorizationQueryParametersError',
      /at least one second/,
    ],
    [
      'negative Expires',
      presign({ 'X-Amz-Expires': '-1' }),
      'AuthorizationQueryParametersError',
      /non-negative/,
    ],
    [
      'Expires that is no number',
      presign({ 'X-Amz-Expires': '1h' }),
      'AuthorizationQueryParametersError',
      /should be a number/,
    ],
    [
      'another region',
      presign({ 'X-Amz-Credential': `${ACCESS_KEY}/20130524/eu-west-1/s3/aws4_request` }),
      'AuthorizationQueryParametersError',
      /^Error parsing the X-Amz-Credential parameter; the region 'eu-west-1' is wrong; expecting 'us-east-1'$/,
    ],
    [
      'another service',
      presign({ 'X-Amz-Credential': `${ACCESS_KEY}/20130524/us-east-1/ec2/aws4_request` }),
      'AuthorizationQueryParametersError',
      /incorrect service "ec2"/,
    ],
    [
      'an unknown access key',
      presign({ 'X-Amz-Credential': `AKIANOBODY/${SCOPE}` }),
      'InvalidAccessKeyId',
      /does not exist/,
    ],
    ['one more parameter', `${presign()}&versionId=null`, 'SignatureDoesNotMatch', /does not match/],
    [
      'another value of a parameter',
      presign().replace('86400', '86401'),
      'SignatureDoesNotMatch',
      /does not match/,
    ],
    ['another path', presign().replace('test.txt', 'tess.txt'), 'SignatureDoesNotMatch', /does not match/],
    [
      'another signature',
      presign().replace(/Signature=.*/, 'Signature=00'),
      'SignatureDoesNotMatch',
      /does not match/,
    ],
    [
      'a parameter of the signature twice',
      `${presign()}&x-amz-date=${TIMESTAMP}`,
      'AuthorizationQueryParametersError',
      /must be given once/,
    ],
    ['a session token', `${presign()}&X-Amz-Security-Token=x`, 'InvalidToken', /token/],
    [
      'SigV2',
      `/test.txt?AWSAccessKeyId=${ACCESS_KEY}&Expires=1&Signature=x`,
      'InvalidRequest',
      /Please use AWS4-HMAC-SHA256/,
    ],
    [
      'SigV2 beside SigV4',
      `${presign()}&AWSAccessKeyId=${ACCESS_KEY}`,
      'InvalidRequest',
      /Please use AWS4-HMAC-SHA256/,
    ],
  ];

  it.each(refused)('with %s is refused', (_name, url, code, message) => {
    const error = failureOf(url);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  it('does not cover x-amz-* headers that were not signed', () => {
    const error = failureOf(presign(), [
      ['Host', HOST],
      ['x-amz-acl', 'public-read'],
    ]);
    expect([error.code, error.details]).toEqual(['AccessDenied', { HeadersNotSigned: 'x-amz-acl' }]);
  });

  it('does not match another method', () => {
    expect(() => authenticate(target('PUT', presign()), bag([['Host', HOST]]), deps())).toThrow(
      expect.objectContaining({ code: 'SignatureDoesNotMatch' }),
    );
  });

  it('lives from 15 minutes before its date to its last second', () => {
    const url = presign({ 'X-Amz-Expires': '60' });
    const at = (offsetMs: number): string | null => {
      try {
        accept(url, undefined, NOW_MS + offsetMs);
        return null;
      } catch (error) {
        return error instanceof S3Error ? `${error.code}: ${error.message}` : 'other';
      }
    };
    expect([-900_001, -900_000, 60_000, 60_001].map(at)).toEqual([
      'AccessDenied: Request is not yet valid',
      null,
      null,
      'AccessDenied: Request has expired',
    ]);
  });

  it('may live for seven days', () => {
    const url = presign({ 'X-Amz-Expires': '604800' });
    expect(() => accept(url, undefined, NOW_MS + 604_800_000)).not.toThrow();
    expect(failureOf(url, undefined, NOW_MS + 604_800_001).details).toEqual({
      'X-Amz-Expires': '604800',
      Expires: '2013-05-31T00:00:00Z',
      ServerTime: '2013-05-31T00:00:00Z',
    });
  });
});
