import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import { boundaryOf, partHead } from './partHead.ts';

const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
};

describe('boundaryOf', () => {
  it.each([
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data;BOUNDARY="a b:c"', 'a b:c'],
    ['multipart/form-data; charset=utf-8; boundary=----WebKitFormBoundary7MA4', '----WebKitFormBoundary7MA4'],
  ])('%s has the boundary %s', (contentType, boundary) => {
    expect(boundaryOf(contentType)).toBe(boundary);
  });

  it.each([
    undefined,
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=""',
    'multipart/form-data; boundary=a; boundary=b',
    'multipart/mixed; boundary=a',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
  ])('%s has none', (contentType) => {
    expect(code(() => boundaryOf(contentType))).toBe('MalformedPOSTRequest');
  });
});

describe('partHead', () => {
  it.each([
    ['form-data; name="key"', 'key', ''],
    ['form-data; name=key', 'key', ''],
    ['FORM-DATA ; NAME = "X-Amz-Meta-A"', 'x-amz-meta-a', ''],
    ['form-data; name="file"; filename="a b.txt"', 'file', 'a b.txt'],
    ['form-data; name="file"; filename="C:\\docs\\new.txt"', 'file', 'new.txt'],
    ['form-data; name="file"; filename="/tmp/new.txt"', 'file', 'new.txt'],
    ['form-data; name="file"; filename="say \\"hi\\".txt"', 'file', 'say "hi".txt'],
    ['form-data; name="file"; filename="a;b=c"; other=1', 'file', 'a;b=c'],
    ['form-data; name="file"; filename="folder/"', 'file', ''],
    [latin1('form-data; name="file"; filename="grün.txt"'), 'file', 'grün.txt'],
  ])('%s names the field %s and the file %s', (header, name, filename) => {
    expect(partHead(header)).toEqual({ name, filename });
  });

  it.each([
    undefined,
    '',
    'form-data',
    'form-data; name=""',
    'form-data; name="x-amz-server-side-encryption"; name="x-ignore"',
    'form-data; name="unclosed',
    'form-data; name="a" junk',
    'attachment; name="x-amz-server-side-encryption"',
    'form-data name="a"',
  ])('%s is refused, not skipped: it could hide a field', (header) => {
    expect(code(() => partHead(header))).toBe('MalformedPOSTRequest');
  });
});
