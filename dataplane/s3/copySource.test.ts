import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { copySource } from './copySource.ts';
import { S3Error } from './errors.ts';
import { HeaderBag } from './request.ts';

const read = (...values: string[]) =>
  copySource(new HeaderBag(values.flatMap((value) => ['x-amz-copy-source', value])));
const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
};

describe('x-amz-copy-source', () => {
  it.each([
    ['bucket/key', 'bucket', 'key'],
    ['/bucket/key', 'bucket', 'key'],
    ['bucket%2Fkey', 'bucket', 'key'],
    ['%2Fbucket%2Fkey', '', ''],
    ['bucket//key/', 'bucket', '/key/'],
    ['bucket/a%2Fb%20c+d', 'bucket', 'a/b c+d'],
    ['bucket/%C3%A4', 'bucket', 'ä'],
    [`bucket/${Buffer.from('ä').toString('latin1')}`, 'bucket', 'ä'],
    ['bucket/../other', 'bucket', '../other'],
    ['bucket/a?b', 'bucket', 'a?b'],
    ['bucket/a%3FversionId=1', 'bucket', 'a?versionId=1'],
    ['bucket/key?versionId=null', 'bucket', 'key'],
  ])('%s', (text, bucket, key) => {
    if (bucket === '') expect(code(() => read(text))).toBe('InvalidArgument');
    else expect({ ...read(text), key: read(text).key.toString() }).toEqual({ bucket, key });
  });

  it.each([
    ['', 'InvalidArgument'],
    ['/', 'InvalidArgument'],
    ['bucket', 'InvalidArgument'],
    ['bucket/', 'InvalidArgument'],
    ['//key', 'InvalidArgument'],
    ['bucket/%zz', 'InvalidArgument'],
    ['bucket/%ff', 'InvalidArgument'],
    ['bucket/key?versionId=', 'NotImplemented'],
    ['bucket/key?versionId=abc', 'NotImplemented'],
  ])('%j is refused: %s', (text, expected) => {
    expect(code(() => read(text))).toBe(expected);
  });

  it('must not be given twice', () => {
    expect(code(() => read('a/b', 'a/b'))).toBe('InvalidArgument');
  });

  it('is any bucket and key that were percent-encoded', () => {
    const key = fc.string({ minLength: 1, unit: 'grapheme' });
    fc.assert(
      fc.property(key, fc.boolean(), (text, slash) => {
        const source = read(`${slash ? '/' : ''}bucket/${encodeURIComponent(text)}`);
        expect(source).toEqual({ bucket: 'bucket', key: Buffer.from(text) });
      }),
    );
  });
});
