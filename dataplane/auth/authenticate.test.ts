import { describe, expect, it } from 'vitest';
import { authenticate } from './authenticate.ts';
import {
  ACCESS_KEY,
  authorization,
  bag,
  deps,
  EMPTY_SHA256,
  failure,
  type HeaderList,
  HOST,
  NOW_MS,
  OWNER,
  SCOPE,
  SECRET_KEY,
  signCanonical,
  signingKey,
  TIMESTAMP,
  target,
} from './signer.testkit.ts';

/** Headers of a signed `GET /` of that host; the signature covers `signed` and only it. */
function signedGet(
  options: { extra?: HeaderList; timestamp?: string; scope?: string; path?: string } = {},
): HeaderList {
  const { extra = [], timestamp = TIMESTAMP, scope = SCOPE, path = '/' } = options;
  const canonical = `GET\n${path}\n\nhost:${HOST}\nx-amz-content-sha256:${EMPTY_SHA256}\nx-amz-date:${timestamp}\n\nhost;x-amz-content-sha256;x-amz-date\n${EMPTY_SHA256}`;
  return [
    ['Host', HOST],
    ['x-amz-date', timestamp],
    ['x-amz-content-sha256', EMPTY_SHA256],
    authorization('host;x-amz-content-sha256;x-amz-date', signCanonical(canonical, timestamp, scope), scope),
    ...extra,
  ];
}

/** The same headers with some replaced or (null) taken out; names as `signedGet` writes them. */
function changed(headers: HeaderList, changes: Readonly<Record<string, string | null>>): HeaderList {
  return headers.flatMap(([name, value]) => {
    const change = changes[name];
    if (change === null) return [];
    return [[name, change ?? value]] as const;
  });
}

function authorizationWith(pattern: string | RegExp, replacement: string): HeaderList {
  return signedGet().map(([name, value]) => [
    name,
    name === 'Authorization' ? value.replace(pattern, replacement) : value,
  ]);
}

describe('a request signed in its headers', () => {
  it('is accepted with its Date alone', () => {
    const canonical = `GET\n/\n\ndate:Fri, 24 May 2013 00:00:00 GMT\nhost:${HOST}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n\ndate;host;x-amz-content-sha256\nUNSIGNED-PAYLOAD`;
    const headers = bag([
      ['Host', HOST],
      ['Date', 'Fri, 24 May 2013 00:00:00 GMT'],
      ['x-amz-content-sha256', 'UNSIGNED-PAYLOAD'],
      authorization('date;host;x-amz-content-sha256', signCanonical(canonical)),
    ]);
    expect(authenticate(target('GET', '/'), headers, deps()).payload).toEqual({ kind: 'unsigned' });
  });

  it('is accepted with blanks around the components of Authorization, as s3cmd and boto3 write them', () => {
    const headers = authorizationWith(/,/g, ',  ');
    expect(authenticate(target('GET', '/'), bag(headers), deps()).payload).toEqual({
      kind: 'sha256',
      expected: Buffer.from(EMPTY_SHA256, 'hex'),
    });
  });

  it('is accepted with header values outside ASCII, signed as the bytes that were sent', () => {
    // What node:http makes of the UTF-8 bytes of 'Größe\u00a0': one character per byte.
    const value = Buffer.from('Größe\u00a0', 'utf8').toString('latin1');
    const names = 'host;x-amz-content-sha256;x-amz-date;x-amz-meta-a';
    const canonical = `GET\n/\n\nhost:${HOST}\nx-amz-content-sha256:${EMPTY_SHA256}\nx-amz-date:${TIMESTAMP}\nx-amz-meta-a:${value}\n\n${names}\n${EMPTY_SHA256}`;
    const headers = [
      ...changed(signedGet({ extra: [['x-amz-meta-a', value]] }), { Authorization: null }),
      authorization(names, signCanonical(canonical)),
    ];
    expect(() => authenticate(target('GET', '/'), bag(headers), deps())).not.toThrow();
  });

  it('is anonymous when its Authorization header is empty', () => {
    const headers = changed(signedGet(), { Authorization: '' });
    expect(failure(() => authenticate(target('GET', '/'), bag(headers), deps())).code).toBe('AccessDenied');
  });

  const malformedComponents =
    'The authorization header is malformed; the authorization header requires three components: Credential, SignedHeaders, and Signature.';
  const refused: [name: string, headers: HeaderList, code: string, message: string | RegExp][] = [
    ['no signature at all', [['Host', HOST]], 'AccessDenied', 'Access Denied'],
    [
      'another signature',
      authorizationWith(/Signature=.*/, `Signature=${'0'.repeat(64)}`),
      'SignatureDoesNotMatch',
      /does not match/,
    ],
    ['a signature cut short', authorizationWith(/.$/, ''), 'SignatureDoesNotMatch', /does not match/],
    [
      'an unknown access key',
      authorizationWith(ACCESS_KEY, 'AKIANOBODY'),
      'InvalidAccessKeyId',
      /does not exist/,
    ],
    [
      'no access key',
      authorizationWith(ACCESS_KEY, ''),
      'AuthorizationHeaderMalformed',
      /a non-empty Access Key/,
    ],
    [
      'no Credential',
      authorizationWith(/Credential=[^,]*,/, ''),
      'AuthorizationHeaderMalformed',
      malformedComponents,
    ],
    [
      'no SignedHeaders',
      authorizationWith(/SignedHeaders=[^,]*,/, ''),
      'AuthorizationHeaderMalformed',
      malformedComponents,
    ],
    [
      'no Signature',
      authorizationWith(/,Signature=.*/, ''),
      'AuthorizationHeaderMalformed',
      malformedComponents,
    ],
    [
      'a component twice',
      authorizationWith(/$/, ',Signature=00'),
      'AuthorizationHeaderMalformed',
      /component "Signature" is malformed/,
    ],
    [
      'a component of no known name',
      authorizationWith(/$/, ',Colour=red'),
      'AuthorizationHeaderMalformed',
      malformedComponents,
    ],
    [
      'a component without a value',
      authorizationWith(/$/, ',Colour'),
      'AuthorizationHeaderMalformed',
      /component "Colour" is malformed/,
    ],
    [
      'nothing behind the algorithm',
      changed(signedGet(), { Authorization: 'AWS4-HMAC-SHA256' }),
      'AuthorizationHeaderMalformed',
      /is malformed/,
    ],
    [
      'a Credential of four parts',
      authorizationWith('/us-east-1/', '/'),
      'AuthorizationHeaderMalformed',
      /the Credential is mal-formed/,
    ],
    [
      'a scope date of seven digits',
      authorizationWith('/20130524/', '/2013052/'),
      'AuthorizationHeaderMalformed',
      /incorrect date format "2013052"/,
    ],
    [
      'a scope date other than the date',
      authorizationWith('/20130524/', '/20130523/'),
      'AuthorizationHeaderMalformed',
      /Invalid credential date "20130523"/,
    ],
    [
      'another service',
      authorizationWith('/s3/', '/ec2/'),
      'AuthorizationHeaderMalformed',
      /incorrect service "ec2"/,
    ],
    [
      'another terminator',
      authorizationWith('aws4_request', 'aws5_request'),
      'AuthorizationHeaderMalformed',
      /incorrect terminal "aws5_request"/,
    ],
    [
      'SigV2',
      changed(signedGet(), { Authorization: `AWS ${ACCESS_KEY}:frJIUN8DYpKDtOLCwo//yllqDzg=` }),
      'InvalidRequest',
      'The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.',
    ],
    [
      'SigV4A',
      changed(signedGet(), { Authorization: 'AWS4-ECDSA-P256-SHA256 Credential=x' }),
      'NotImplemented',
      /AWS4-ECDSA/,
    ],
    [
      'a bearer token',
      changed(signedGet(), { Authorization: 'Bearer x' }),
      'InvalidArgument',
      'Unsupported Authorization Type',
    ],
    [
      'two Authorization headers',
      signedGet({ extra: [['authorization', 'x']] }),
      'InvalidArgument',
      /Only one auth mechanism allowed/,
    ],
    ['a session token', signedGet({ extra: [['X-Amz-Security-Token', 'x']] }), 'InvalidToken', /token/],
    [
      'no date',
      changed(signedGet(), { 'x-amz-date': null }),
      'AccessDenied',
      'AWS authentication requires a valid Date or x-amz-date header',
    ],
    [
      'a date in another format',
      changed(signedGet(), { 'x-amz-date': '2013-05-24T00:00:00Z' }),
      'AccessDenied',
      /valid Date or x-amz-date/,
    ],
    [
      'no x-amz-content-sha256',
      changed(signedGet(), { 'x-amz-content-sha256': null }),
      'InvalidRequest',
      'Missing required header for this request: x-amz-content-sha256',
    ],
    [
      'another x-amz-content-sha256',
      changed(signedGet(), { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }),
      'SignatureDoesNotMatch',
      /does not match/,
    ],
    [
      'another host',
      changed(signedGet(), { Host: 'other.s3.amazonaws.com' }),
      'SignatureDoesNotMatch',
      /does not match/,
    ],
    [
      'an unsigned x-amz-* header',
      signedGet({ extra: [['x-amz-acl', 'public-read']] }),
      'AccessDenied',
      'There were headers present in the request which were not signed',
    ],
    ['an unsigned host', authorizationWith('host;', ''), 'AccessDenied', /not signed/],
    [
      'a signature for another path',
      signedGet({ path: '/other' }),
      'SignatureDoesNotMatch',
      /does not match/,
    ],
  ];

  it.each(refused)('is refused with %s', (_name, headers, code, message) => {
    const error = failure(() => authenticate(target('GET', '/'), bag(headers), deps()));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  it('is accepted as the table of refusals changes it from', () => {
    expect(authenticate(target('GET', '/'), bag(signedGet()), deps()).principal.ownerId).toBe(OWNER);
  });

  it('is told which region to sign for', () => {
    const headers = signedGet({ scope: '20130524/eu-west-1/s3/aws4_request' });
    const error = failure(() => authenticate(target('GET', '/'), bag(headers), deps()));
    expect(error.code).toBe('AuthorizationHeaderMalformed');
    expect(error.message).toBe(
      "The authorization header is malformed; the region 'eu-west-1' is wrong; expecting 'us-east-1'",
    );
    expect(error.details).toEqual({ Region: 'us-east-1' });
  });

  it('is accepted for the other region where there is one, if it is really signed for it', () => {
    const scope = '20130524/eu-west-1/s3/aws4_request';
    const both = deps({ alsoRegion: 'eu-west-1' });
    expect(authenticate(target('GET', '/'), bag(signedGet({ scope })), both).principal.ownerId).toBe(OWNER);
    expect(authenticate(target('GET', '/'), bag(signedGet()), both).principal.ownerId).toBe(OWNER);
    const relabelled = bag(authorizationWith('us-east-1', 'eu-west-1'));
    expect(failure(() => authenticate(target('GET', '/'), relabelled, both)).code).toBe(
      'SignatureDoesNotMatch',
    );
    const third = bag(signedGet({ scope: '20130524/eu-west-2/s3/aws4_request' }));
    expect(failure(() => authenticate(target('GET', '/'), third, both)).details).toEqual({
      Region: 'us-east-1',
    });
  });

  it('is told which headers it should have signed', () => {
    const headers = signedGet({
      extra: [
        ['x-amz-meta-a', '1'],
        ['X-Amz-Acl', 'private'],
      ],
    });
    const error = failure(() => authenticate(target('GET', '/'), bag(headers), deps()));
    expect(error.details).toEqual({ HeadersNotSigned: 'x-amz-meta-a, x-amz-acl' });
  });

  it('gets no secret back when its signature is wrong', () => {
    const headers = authorizationWith(/Signature=.*/, 'Signature=beef');
    const error = failure(() => authenticate(target('GET', '/'), bag(headers), deps()));
    expect(Object.keys(error.details)).toEqual(['AWSAccessKeyId', 'StringToSign', 'SignatureProvided']);
    expect(JSON.stringify(error.details)).not.toContain(SECRET_KEY);
    expect(JSON.stringify(error.details)).not.toContain(signingKey().export().toString('hex'));
  });

  it.each([
    [-15 * 60_000, null],
    [15 * 60_000, null],
    [-15 * 60_000 - 1000, 'RequestTimeTooSkewed'],
    [15 * 60_000 + 1000, 'RequestTimeTooSkewed'],
  ])('signed %i ms from our clock is answered %s', (offsetMs, code) => {
    const run = (): unknown =>
      authenticate(target('GET', '/'), bag(signedGet()), deps({ now: () => NOW_MS - offsetMs }));
    if (code === null) expect(run).not.toThrow();
    else expect(failure(run).code).toBe(code);
  });

  it('says by how much its clock is wrong', () => {
    const run = (): unknown =>
      authenticate(target('GET', '/'), bag(signedGet()), deps({ now: () => NOW_MS + 3_600_000 }));
    expect(failure(run).details).toEqual({
      RequestTime: TIMESTAMP,
      ServerTime: '2013-05-24T01:00:00Z',
      MaxAllowedSkewMilliseconds: '900000',
    });
  });

  it.each([
    ['?X-Amz-Algorithm=AWS4-HMAC-SHA256'],
    ['?x-amz-signature=00'],
    ['?X-Amz-Credential=x'],
    ['?AWSAccessKeyId=x'],
    ['?Signature=x'],
  ])('is refused with %s in its query as well', (query) => {
    const error = failure(() => authenticate(target('GET', `/${query}`), bag(signedGet()), deps()));
    expect(error.code).toBe('InvalidArgument');
    expect(error.details).toEqual({ ArgumentName: 'Authorization' });
  });
});
