import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import type { FormField } from './formReader.ts';
import { postFields, postKey, postSuccess } from './postFields.ts';

const form = (...fields: readonly (readonly [string, string])[]): FormField[] =>
  fields.map(([name, value]) => ({ name, value: Buffer.from(value) }));
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
};

describe('the fields of a form', () => {
  it('are texts for the policy and headers for everything else', () => {
    const fields = postFields(
      form(['acl', 'private'], ['x-amz-meta-who', ' ärger '], ['x-ignore-a', 'x']),
      '',
    );
    expect([...fields.texts]).toEqual([
      ['acl', 'private'],
      ['x-amz-meta-who', ' ärger '],
      ['x-ignore-a', 'x'],
    ]);
    expect(fields.headers.entries).toEqual([
      ['x-amz-acl', 'private'],
      ['x-amz-meta-who', Buffer.from('ärger').toString('latin1')],
      ['x-ignore-a', 'x'],
    ]);
  });

  it('have the name of the file put in everywhere, as it is', () => {
    const fields = postFields(
      form(['key', 'a/${filename}/${filename}'], ['x-amz-meta-f', '${filename}']),
      '$&$1',
    );
    expect(postKey(fields).toString()).toBe('a/$&$1/$&$1');
    expect(fields.headers.get('x-amz-meta-f')).toBe('$&$1');
  });

  it.each([
    ['key', 'a'],
    ['x-amz-meta-a', 'a'],
    ['policy', 'a'],
  ])('%s may not come twice', (name, value) => {
    expect(code(() => postFields(form([name, value], [name, value]), ''))).toBe('InvalidArgument');
  });

  it('of encryption that come twice are left to the header rules', () => {
    const sse = ['x-amz-server-side-encryption', 'AES256'] as const;
    expect(postFields(form(sse, sse), '').headers.all(sse[0])).toEqual(['AES256', 'AES256']);
  });

  it.each([
    ['content-type', 'a\nb'],
    ['x-amz-meta-a', 'a\u0000b'],
    ['x-amz-meta-', 'a\u007f'],
    ['x-amz-meta-a b', 'a'],
    ['x-amz-meta-ä', 'a'],
    ['x-amz-meta-a\r\nset-cookie', 'a'],
  ])('%s: %s is refused: it could not be sent back', (name, value) => {
    expect(code(() => postFields(form([name, value]), ''))).toBe('InvalidArgument');
  });

  it('must be UTF-8', () => {
    const value = Buffer.from([0xff]);
    expect(code(() => postFields([{ name: 'key', value }], ''))).toBe('MalformedPOSTRequest');
  });
});

describe('the key', () => {
  it.each([
    [[], 'InvalidArgument'],
    [[['key', '']], 'InvalidArgument'],
    [[['key', '${filename}']], 'InvalidArgument'],
    [[['key', 'x'.repeat(1025)]], 'KeyTooLongError'],
    [[['key', 'ä'.repeat(513)]], 'KeyTooLongError'],
    [[['key', 'ä'.repeat(512)]], 'none'],
  ] as const)('of %j is checked: %s', (fields, expected) => {
    expect(code(() => postKey(postFields(form(...fields), '')))).toBe(expected);
  });
});

describe('the answer', () => {
  it.each([
    [[], 204],
    [[['success_action_status', '200']], 200],
    [[['success_action_status', '201']], 201],
    [[['success_action_status', '500']], 204],
    [[['success_action_redirect', 'not a url']], 204],
    [
      [
        ['redirect', 'javascript:alert(1)'],
        ['success_action_status', '201'],
      ],
      201,
    ],
    [
      [
        ['redirect', 'http://a/b'],
        ['success_action_status', '201'],
      ],
      'http://a/b',
    ],
    [
      [
        ['success_action_redirect', 'https://a/'],
        ['redirect', 'http://b/'],
      ],
      'https://a/',
    ],
  ] as const)('to %j is %s', (fields, expected) => {
    const success = postSuccess(postFields(form(...fields), ''));
    expect(success.kind === 'redirect' ? success.url.href : success.status).toBe(expected);
  });
});
