import { describe, expect, it } from 'vitest';
import { CREDENTIAL, DATE, type Fields, NOW, post } from './postForm.testkit.ts';
import { ACCESS_KEY, failure, OWNER } from './signer.testkit.ts';

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

describe('the form that AWS publishes', () => {
  it('is accepted', () => {
    expect(post(PUBLISHED_FIELDS)).toEqual({
      principal: { accessKeyId: ACCESS_KEY, ownerId: OWNER, rights: 'everything' },
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
