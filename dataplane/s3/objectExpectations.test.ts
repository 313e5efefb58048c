import { describe, expect, it } from 'vitest';
import { S3Error } from './errors.ts';
import { objectExpectations, requireExpected } from './objectExpectations.ts';
import { HeaderBag } from './request.ts';

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'none';
};

const value = Buffer.from('01020304', 'hex');
const base64 = value.toString('base64');
const COMPOSITE = { algorithm: 'CRC32', type: 'COMPOSITE', value } as const;
const FULL = { algorithm: 'CRC32', type: 'FULL_OBJECT', value } as const;

describe('what a Complete says of its object', () => {
  it.each([
    [[], FULL, 'none'],
    [['x-amz-mp-object-size', '10'], null, 'none'],
    [['x-amz-mp-object-size', '11'], null, 'InvalidRequest'],
    [['x-amz-mp-object-size', '1e1'], null, 'InvalidRequest'],
    [['x-amz-checksum-crc32', base64], FULL, 'none'],
    [['x-amz-checksum-crc32', `${base64}-2`], FULL, 'BadDigest'],
    [['x-amz-checksum-crc32', `${base64}-2`], COMPOSITE, 'none'],
    [['x-amz-checksum-crc32', base64], COMPOSITE, 'none'],
    [['x-amz-checksum-crc32', `${base64}-3`], COMPOSITE, 'BadDigest'],
    [['x-amz-checksum-crc32', 'AAAAAA=='], FULL, 'BadDigest'],
    [['x-amz-checksum-crc32', base64], null, 'InvalidRequest'],
    [['x-amz-checksum-sha256', base64], FULL, 'InvalidRequest'],
    [['x-amz-checksum-md4', base64], FULL, 'InvalidRequest'],
    [['x-amz-checksum-crc32', base64, 'x-amz-checksum-sha1', base64], FULL, 'InvalidRequest'],
    [['x-amz-checksum-type', 'full_object'], FULL, 'none'],
    [['x-amz-checksum-type', 'COMPOSITE'], FULL, 'InvalidRequest'],
    [['x-amz-checksum-type', 'COMPOSITE'], null, 'InvalidRequest'],
  ])('%j against %j: %s', (headers, checksum, expected) => {
    const object = { size: 10, partCount: 2, checksum };
    expect(code(() => requireExpected(objectExpectations(new HeaderBag(headers)), object))).toBe(expected);
  });
});
