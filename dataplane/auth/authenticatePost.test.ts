import { describe, expect, it } from 'vitest';
import { S3Error } from '../s3/errors.ts';
import { authenticatePost, type PostAuthentication } from './authenticatePost.ts';
import { ACCESS_KEY, deps, hmacHex, OWNER, signingKey } from './signer.testkit.ts';

const DATE = '20151229T000000Z';
const NOW = Date.UTC(2015, 11, 29, 12);
const BUCKET = 'sigv4examplebucket';
const CREDENTIAL = `${ACCESS_KEY}/20151229/us-east-1/s3/aws4_request`;

/** S3 API, "Example: browser-based upload using HTTP POST": the policy exactly as published, with its CRLFs. */
const PUBLISHED_POLICY = [
  '{ "expiration": "2015-12-30T12:00:00.000Z",',
  '  "conditions": [',
  '    {"bucket": "sigv4examplebucket"},',
  '    ["starts-with", "$key", "user/user1/"],',
  '    {"acl": "public-read"},',
  '    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},',
  '    ["starts-with", "$Content-Type", "image/"],',
  '    {"x-amz-meta-uuid": "14365123651274"},',
  '    {"x-amz-server-side-encryption": "AES256"},',
  '    ["starts-with", "$x-amz-meta-tag", ""],',
  '',
  `    {"x-amz-credential": "${CREDENTIAL}"},`,
  '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
  '    {"x-amz-date": "20151229T000000Z" }',
  '  ]',
  '}',
].join('\r\n');
const PUBLISHED_SIGNATURE = '8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e';

type Fields = Readonly<Record<string, string>>;

const PUBLISHED_FIELDS: Fields = {
  key: 'user/user1/photo.jpg',
  acl: 'public-read',
  success_action_redirect: 'http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html',
  'content-type': 'image/jpeg',
  'x-amz-meta-uuid': '14365123651274',
  'x-amz-server-side-encryption': 'AES256',
  'x-amz-credential': CREDENTIAL,
  'x-amz-algorithm': 'AWS4-HMAC-SHA256',
  'x-amz-date': DATE,
  'x-amz-meta-tag': '',
  policy: Buffer.from(PUBLISHED_POLICY).toString('base64'),
  'x-amz-signature': PUBLISHED_SIGNATURE,
};

function post(fields: Fields, nowMs = NOW, bucket = BUCKET): PostAuthentication {
  return authenticatePost(new Map(Object.entries(fields)), bucket, deps({ now: () => nowMs }));
}

function failure(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const STANDING_CONDITIONS: readonly unknown[] = [
  { bucket: BUCKET },
  { 'x-amz-credential': CREDENTIAL },
  { 'x-amz-algorithm': 'AWS4-HMAC-SHA256' },
  { 'x-amz-date': DATE },
];

/** A signed form with that policy text; the fields of the signature come by themselves. */
function formOf(policyText: string, fields: Fields): Fields {
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

function formWith(
  conditions: readonly unknown[],
  fields: Fields,
  expiration = '2015-12-30T12:00:00.000Z',
): Fields {
  const policy = { expiration, conditions: [...STANDING_CONDITIONS, ...conditions] };
  return formOf(JSON.stringify(policy), fields);
}

describe('the form that AWS publishes', () => {
  it('is accepted', () => {
    expect(post(PUBLISHED_FIELDS)).toEqual({
      principal: { accessKeyId: ACCESS_KEY, ownerId: OWNER },
      contentLengthRange: null,
    });
  });

  const extra = { 'x-amz-meta-other': '1' };
  it.each<[string, () => unknown, string, string]>([
    [
      'another signature',
      () => post({ ...PUBLISHED_FIELDS, 'x-amz-signature': '00' }),
      'SignatureDoesNotMatch',
      'does not match',
    ],
    [
      'a policy that was not signed',
      () => post({ ...PUBLISHED_FIELDS, policy: Buffer.from('{}').toString('base64') }),
      'SignatureDoesNotMatch',
      'does not match',
    ],
    [
      'another bucket',
      () => post(PUBLISHED_FIELDS, NOW, 'other'),
      'AccessDenied',
      'Invalid according to Policy: Policy Condition failed: ["eq","$bucket","sigv4examplebucket"]',
    ],
    [
      'a key outside the prefix',
      () => post({ ...PUBLISHED_FIELDS, key: 'user/user2/x' }),
      'AccessDenied',
      'Invalid according to Policy: Policy Condition failed: ["starts-with","$key","user/user1/"]',
    ],
    [
      'another acl',
      () => post({ ...PUBLISHED_FIELDS, acl: 'private' }),
      'AccessDenied',
      'Policy Condition failed: ["eq","$acl","public-read"]',
    ],
    [
      'a field that no condition names',
      () => post({ ...PUBLISHED_FIELDS, ...extra }),
      'AccessDenied',
      'Invalid according to Policy: Extra input fields: x-amz-meta-other',
    ],
    [
      'an expired policy',
      () => post(PUBLISHED_FIELDS, Date.UTC(2015, 11, 30, 12)),
      'AccessDenied',
      'Invalid according to Policy: Policy expired.',
    ],
    [
      'a signing time more than 15 minutes ahead',
      () => post(PUBLISHED_FIELDS, Date.UTC(2015, 11, 28, 23, 44, 59)),
      'AccessDenied',
      'not yet valid',
    ],
    [
      'a session token',
      () => post({ ...PUBLISHED_FIELDS, 'x-amz-security-token': 'x' }),
      'InvalidToken',
      'token',
    ],
    [
      'an unknown access key',
      () => post({ ...PUBLISHED_FIELDS, 'x-amz-credential': CREDENTIAL.replace('AKIA', 'AKIB') }),
      'InvalidAccessKeyId',
      'does not exist',
    ],
    [
      'a credential of another region',
      () => post({ ...PUBLISHED_FIELDS, 'x-amz-credential': CREDENTIAL.replace('us-east-1', 'eu-west-1') }),
      'AuthorizationQueryParametersError',
      "the region 'eu-west-1' is wrong",
    ],
    [
      'a malformed credential',
      () => post({ ...PUBLISHED_FIELDS, 'x-amz-credential': 'x' }),
      'AuthorizationQueryParametersError',
      'mal-formed',
    ],
    [
      'another algorithm',
      () => post({ ...PUBLISHED_FIELDS, 'x-amz-algorithm': 'AWS4-ECDSA-P256-SHA256' }),
      'InvalidArgument',
      'only supports',
    ],
    [
      'a malformed date',
      () => post({ ...PUBLISHED_FIELDS, 'x-amz-date': '2015' }),
      'InvalidArgument',
      'ISO8601',
    ],
  ])('is refused with %s', (_name, run, code, message) => {
    const error = failure(run);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  it.each([
    ['policy', 'Policy'],
    ['x-amz-algorithm', 'X-Amz-Algorithm'],
    ['x-amz-credential', 'X-Amz-Credential'],
    ['x-amz-date', 'X-Amz-Date'],
    ['x-amz-signature', 'X-Amz-Signature'],
  ])('without %s is refused', (name, shownName) => {
    for (const value of [undefined, '']) {
      const { [name]: _removed, ...rest } = PUBLISHED_FIELDS;
      const error = failure(() => post(value === undefined ? rest : { ...rest, [name]: value }));
      expect(error.code).toBe('InvalidArgument');
      expect(error.message).toContain(`must contain a field named '${shownName}'`);
      expect(error.details).toEqual({ ArgumentName: shownName, ArgumentValue: '' });
    }
  });

  it('is anonymous without policy and signature', () => {
    expect(failure(() => post({ key: 'k' })).code).toBe('AccessDenied');
  });

  it.each(['awsaccesskeyid', 'signature'])('is refused when it is signed with SigV2 (%s)', (name) => {
    expect(failure(() => post({ key: 'k', policy: 'x', [name]: 'x' })).code).toBe('InvalidRequest');
  });
});

describe('a POST policy', () => {
  it('matches operators and field names in any letter case', () => {
    const form = formWith(
      [['StArTs-WiTh', '$KeY', 'foo'], { AcL: 'private' }, ['EQ', '$X-Amz-Meta-A', 'b']],
      {
        key: 'foobar',
        acl: 'private',
        'x-amz-meta-a': 'b',
      },
    );
    expect(() => post(form)).not.toThrow();
  });

  it('never lets a form field stand for the bucket', () => {
    const form = formWith([['starts-with', '$key', '']], { key: 'k', bucket: BUCKET });
    expect(failure(() => post(form, NOW, 'other')).message).toContain('$bucket');
  });

  it('must name the bucket', () => {
    const form = formOf(
      JSON.stringify({
        expiration: '2015-12-30T12:00:00Z',
        conditions: [...STANDING_CONDITIONS.slice(1), { key: 'k' }],
      }),
      { key: 'k' },
    );
    expect(failure(() => post(form)).message).toBe('Invalid according to Policy: Extra input fields: bucket');
  });

  it('needs no condition for the file, the policy, the signature and x-ignore-*', () => {
    const form = formWith([{ key: 'k' }], { key: 'k', file: 'x', 'x-ignore-me': '1' });
    expect(() => post(form)).not.toThrow();
  });

  it('fails a condition whose field is absent, even one that any value would meet', () => {
    const form = formWith([{ key: 'k' }, ['starts-with', '$content-type', '']], { key: 'k' });
    expect(failure(() => post(form)).message).toContain('["starts-with","$content-type",""]');
  });

  it.each([
    ['image/png', null],
    ['image/png,image/gif', null],
    ['image/png, image/gif', null],
    ['image/png,text/html', 'AccessDenied'],
    ['text/html', 'AccessDenied'],
  ])('takes the Content-Type %j as a list whose every value must begin alike', (type, code) => {
    const form = formWith([{ key: 'k' }, ['starts-with', '$Content-Type', 'image/']], {
      key: 'k',
      'content-type': type,
    });
    if (code === null) expect(() => post(form)).not.toThrow();
    else expect(failure(() => post(form)).code).toBe(code);
  });

  it.each<[unknown[], unknown]>([
    [[], null],
    [[['content-length-range', 0, 1024]], { min: 0, max: 1024 }],
    [[['Content-Length-Range', '1', '10']], { min: 1, max: 10 }],
    [
      [
        ['content-length-range', 5, 100],
        ['content-length-range', 0, 50],
      ],
      { min: 5, max: 50 },
    ],
  ])('with the length conditions %j allows %j', (ranges, expected) => {
    const form = formWith([{ key: 'k' }, ...ranges], { key: 'k' });
    expect(post(form).contentLengthRange).toEqual(expected);
  });

  it('knows the escapes that JSON lacks', () => {
    const standing = STANDING_CONDITIONS.map((condition) => JSON.stringify(condition)).join(',');
    const text = String.raw`{"expiration":"2015-12-30T12:00:00Z","conditions":[${standing},["eq","$key","\$5 \\$6 \v\t"]]}`;
    expect(() => post(formOf(text, { key: '$5 \\$6 \v\t' }))).not.toThrow();
  });

  it('lives no longer than its signing key, seven days', () => {
    const form = formWith([{ key: 'k' }], { key: 'k' }, '2099-01-01T00:00:00Z');
    expect(() => post(form, Date.UTC(2016, 0, 4, 23, 59, 59))).not.toThrow();
    expect(failure(() => post(form, Date.UTC(2016, 0, 5))).message).toContain('Policy expired');
  });

  const conditions = JSON.stringify([...STANDING_CONDITIONS, { key: 'k' }]);
  const policyWith = (condition: unknown): string =>
    JSON.stringify({
      expiration: '2015-12-30T12:00:00Z',
      conditions: [...STANDING_CONDITIONS, { key: 'k' }, condition],
    });
  it.each([
    ['no JSON', '{', 'Invalid JSON'],
    ['no object', '[]', 'expected an object'],
    ['no object but null', 'null', 'expected an object'],
    ['no expiration', `{"conditions":${conditions}}`, 'missing expiration'],
    [
      'EXPIRATION in capitals',
      `{"EXPIRATION":"2015-12-30T12:00:00Z","conditions":${conditions}}`,
      'missing expiration',
    ],
    ['no conditions', '{"expiration":"2015-12-30T12:00:00Z"}', 'missing conditions'],
    [
      'CONDITIONS in capitals',
      `{"expiration":"2015-12-30T12:00:00Z","CONDITIONS":${conditions}}`,
      'missing conditions',
    ],
    [
      'an expiration of another format',
      `{"expiration":"2015-12-30 12:00:00","conditions":${conditions}}`,
      "Invalid 'expiration'",
    ],
    [
      'an expiration that no calendar has',
      `{"expiration":"2015-13-30T12:00:00Z","conditions":${conditions}}`,
      "Invalid 'expiration'",
    ],
    ['an expiration that is a number', `{"expiration":1,"conditions":${conditions}}`, "Invalid 'expiration'"],
    [
      'conditions that are no list',
      '{"expiration":"2015-12-30T12:00:00Z","conditions":{}}',
      'must be a List',
    ],
    ['an empty condition', policyWith({}), 'exactly one property'],
    ['a condition of two properties', policyWith({ a: '1', b: '2' }), 'exactly one property'],
    ['a condition whose value is no string', policyWith({ success_action_status: 201 }), 'must be a string'],
    ['a condition that is text', policyWith('x'), 'expected a list or an object'],
    ['a condition that is null', policyWith(null), 'expected a list or an object'],
    ['a condition of two elements', policyWith(['eq', '$key']), 'expected an operator'],
    ['a condition of a number', policyWith(['eq', '$key', 1]), 'expected an operator'],
    ['an unknown operation', policyWith(['ends-with', '$key', 'k']), "unknown operation 'ends-with'"],
    ['a field without a dollar sign', policyWith(['eq', 'key', 'k']), "must begin with '$'"],
    ['a field without a name', policyWith(['eq', '$', 'k']), "must begin with '$'"],
    ['a length range of one number', policyWith(['content-length-range', 0]), 'content-length-range'],
    ['a negative length', policyWith(['content-length-range', -1, 0]), 'content-length-range'],
    ['a length that is no number', policyWith(['content-length-range', 0, 'x']), 'content-length-range'],
    ['a length that is no integer', policyWith(['content-length-range', 0, 1.5]), 'content-length-range'],
  ])('is refused with %s', (_name, text, problem) => {
    const error = failure(() => post(formOf(text, { key: 'k' })));
    expect(error.code).toBe('InvalidPolicyDocument');
    expect(error.message).toContain(problem);
  });

  it.each([
    ['characters outside base64', '!!!!'],
    ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('base64')],
  ])('is refused with %s', (_name, policy) => {
    const form = { ...formOf('{}', {}), policy, 'x-amz-signature': hmacHex(signingKey('20151229'), policy) };
    expect(failure(() => post(form)).code).toBe('InvalidPolicyDocument');
  });
});

describe('the form that botocore makes', () => {
  // generate_presigned_post('bucket', 'up/${filename}', Fields={'acl': 'private'},
  //   Conditions=[['content-length-range', 1, 10], {'acl': 'private'}]) of botocore 1.43.11, as it came out.
  const fields: Fields = {
    acl: 'private',
    key: 'up/a.txt',
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${ACCESS_KEY}/20261122/us-east-1/s3/aws4_request`,
    'x-amz-date': '20261122T142139Z',
    policy:
      'eyJleHBpcmF0aW9uIjogIjIwMjYtMTEtMjJUMTU6MjE6MzlaIiwgImNvbmRpdGlvbnMiOiBbWyJjb250ZW50LWxlbmd0aC1yYW5nZSIsIDEsIDEwXSwgeyJhY2wiOiAicHJpdmF0ZSJ9LCB7ImJ1Y2tldCI6ICJidWNrZXQifSwgWyJzdGFydHMtd2l0aCIsICIka2V5IiwgInVwLyJdLCB7IngtYW16LWFsZ29yaXRobSI6ICJBV1M0LUhNQUMtU0hBMjU2In0sIHsieC1hbXotY3JlZGVudGlhbCI6ICJBS0lBSU9TRk9ETk43RVhBTVBMRS8yMDI2MTEyMi91cy1lYXN0LTEvczMvYXdzNF9yZXF1ZXN0In0sIHsieC1hbXotZGF0ZSI6ICIyMDI2MTEyMlQxNDIxMzlaIn1dfQ==',
    'x-amz-signature': 'c2a0edddc4d5e9b0462e062eae0b6be688078af22fe0a023c0703f8ccc7651ba',
  };

  it('is accepted until it expires', () => {
    const atExpiry = Date.UTC(2026, 10, 22, 15, 21, 39);
    expect(post(fields, atExpiry - 1, 'bucket').contentLengthRange).toEqual({ min: 1, max: 10 });
    expect(failure(() => post(fields, atExpiry, 'bucket')).message).toContain('Policy expired');
  });
});
