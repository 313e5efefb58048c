import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from './errors.ts';
import { createChecksum } from './integrity/checksums.ts';
import { MultipartChecksum, uploadChecksum } from './multipartChecksum.ts';
import { HeaderBag } from './request.ts';

const asked = (algorithm?: string, type?: string) =>
  uploadChecksum(
    new HeaderBag([
      ...(algorithm === undefined ? [] : ['x-amz-checksum-algorithm', algorithm]),
      ...(type === undefined ? [] : ['x-amz-checksum-type', type]),
    ]),
  );

describe('the checksum of an upload to come', () => {
  it.each([
    [undefined, undefined, null, null],
    ['CRC32', undefined, 'CRC32', 'COMPOSITE'],
    ['crc32c', undefined, 'CRC32C', 'COMPOSITE'],
    ['CRC64NVME', undefined, 'CRC64NVME', 'FULL_OBJECT'],
    ['SHA1', undefined, 'SHA1', 'COMPOSITE'],
    ['SHA256', 'COMPOSITE', 'SHA256', 'COMPOSITE'],
    ['CRC32', 'full_object', 'CRC32', 'FULL_OBJECT'],
    ['CRC32C', 'FULL_OBJECT', 'CRC32C', 'FULL_OBJECT'],
  ])('%s of type %s is %s, %s', (algorithm, type, checksumAlgorithm, checksumType) => {
    expect(asked(algorithm, type)).toEqual({ checksumAlgorithm, checksumType });
  });

  it.each([
    ['SHA256', 'FULL_OBJECT'],
    ['SHA1', 'FULL_OBJECT'],
    ['CRC64NVME', 'COMPOSITE'],
    ['CRC32', 'WHOLE'],
    ['MD4', undefined],
    [undefined, 'COMPOSITE'],
  ])('%s of type %s is refused', (algorithm, type) => {
    expect(() => asked(algorithm, type)).toThrow(S3Error);
  });
});

describe('the checksum of an object of parts', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 100 }), { minLength: 1, maxLength: 6 });

  it.each(['CRC32', 'CRC32C', 'CRC64NVME'] as const)('%s, FULL_OBJECT, is that of all bytes', (algorithm) => {
    fc.assert(
      fc.property(parts, (bodies) => {
        const multipart = new MultipartChecksum(algorithm, 'FULL_OBJECT');
        const whole = createChecksum(algorithm);
        for (const body of bodies) {
          const part = createChecksum(algorithm);
          part.update(body);
          whole.update(body);
          multipart.add({ value: part.digest(), size: body.length });
        }
        expect(multipart.finish()).toEqual({ algorithm, type: 'FULL_OBJECT', value: whole.digest() });
      }),
    );
  });

  it('SHA256, COMPOSITE, is that of the parts’ digests', () => {
    fc.assert(
      fc.property(parts, (bodies) => {
        const digests = bodies.map((body) => createHash('sha256').update(body).digest());
        const multipart = new MultipartChecksum('SHA256', 'COMPOSITE');
        for (const value of digests) multipart.add({ value, size: 1 });
        const value = createHash('sha256').update(Buffer.concat(digests)).digest();
        expect(multipart.finish()).toEqual({ algorithm: 'SHA256', type: 'COMPOSITE', value });
      }),
    );
  });

  it('CRC32, COMPOSITE, is not that of all bytes', () => {
    const multipart = new MultipartChecksum('CRC32', 'COMPOSITE');
    multipart.add({ value: Buffer.from('01020304', 'hex'), size: 1 });
    const digest = createChecksum('CRC32');
    digest.update(Buffer.from('01020304', 'hex'));
    expect(multipart.finish().value).toEqual(digest.digest());
  });
});
