import { describe, expect, it } from 'vitest';
import { BUCKET, formOf, formWith, NOW, post, STANDING_CONDITIONS } from './postForm.testkit.ts';
import { failure, hmacHex, signingKey } from './signer.testkit.ts';

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
