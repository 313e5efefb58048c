import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import { HeaderBag } from '../request.ts';
import { requestedContentMd5 } from './contentMd5.ts';
import {
  announcedTrailers,
  parseChecksumAlgorithm,
  requestedChecksum,
  trailerChecksum,
} from './requestedChecksum.ts';

type Headers = readonly (readonly [string, string])[];

function bag(headers: Headers): HeaderBag {
  return new HeaderBag(headers.flat());
}

function failure(run: () => unknown): [code: string, message: string] {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return [error.code, error.message];
    throw error;
  }
  return ['accepted', ''];
}

const SHA256 = 'ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=';

describe('the requested checksum', () => {
  it.each([
    ['x-amz-checksum-crc32', 'y/Q5Jg==', 'CRC32', 'cbf43926'],
    ['X-Amz-Checksum-CRC32C', '4waSgw==', 'CRC32C', 'e3069283'],
    ['x-amz-checksum-crc64nvme', 'rosUhgp5mIg=', 'CRC64NVME', 'ae8b14860a799888'],
    [
      'x-amz-checksum-sha1',
      'qZk+NkcGgWq6PiVxeFDCbJzQ2J0=',
      'SHA1',
      'a9993e364706816aba3e25717850c26c9cd0d89d',
    ],
    ['x-amz-checksum-sha256', SHA256, 'SHA256', Buffer.from(SHA256, 'base64').toString('hex')],
  ])('is read from %s', (name, value, algorithm, hex) => {
    const expected = { algorithm, expected: Buffer.from(hex, 'hex'), inTrailer: false };
    expect(requestedChecksum(bag([[name, value]]))).toEqual(expected);
    const sdk: Headers = [
      [name, value],
      ['x-amz-sdk-checksum-algorithm', algorithm],
    ];
    expect(requestedChecksum(bag(sdk))).toEqual(expected);
  });

  it.each(['x-amz-checksum-crc32', ' X-Amz-Checksum-CRC32 ', 'x-amz-checksum-crc32,'])(
    'is announced by x-amz-trailer: %j',
    (value) => {
      const expected = { algorithm: 'CRC32', expected: null, inTrailer: true };
      expect(requestedChecksum(bag([['X-Amz-Trailer', value]]))).toEqual(expected);
      const sdk: Headers = [
        ['x-amz-trailer', value],
        ['x-amz-sdk-checksum-algorithm', 'crc32'],
      ];
      expect(requestedChecksum(bag(sdk))).toEqual(expected);
    },
  );

  it('is not sought in the trailers that the header rules judge', () => {
    const announced =
      'X-Amz-Server-Side-Encryption, x-amz-checksum-crc32,x-amz-server-side-encryption-customer-key';
    const headers = bag([['x-amz-trailer', announced]]);
    expect(announcedTrailers(headers)).toEqual(['x-amz-checksum-crc32']);
    expect(requestedChecksum(headers)).toEqual({ algorithm: 'CRC32', expected: null, inTrailer: true });
    expect(requestedChecksum(bag([['x-amz-trailer', 'x-amz-server-side-encryption']]))).toBeNull();
  });

  it('is none without such a header', () => {
    const others: Headers = [
      ['content-md5', 'x'],
      ['x-amz-checksum-algorithm', 'CRC32'],
      ['x-amz-checksum-mode', 'ENABLED'],
      ['x-amz-checksum-type', 'FULL_OBJECT'],
    ];
    expect(requestedChecksum(bag(others))).toBeNull();
  });

  const crc32: readonly [string, string] = ['x-amz-checksum-crc32', 'y/Q5Jg=='];
  const single = 'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.';
  const refused: [name: string, headers: Headers, message: string][] = [
    ['two checksums', [crc32, ['x-amz-checksum-crc32c', '4waSgw==']], single],
    ['one checksum twice', [crc32, crc32], single],
    ['a header and a trailer', [crc32, ['x-amz-trailer', 'x-amz-checksum-crc32']], single],
    ['two trailers', [['x-amz-trailer', 'x-amz-checksum-crc32, x-amz-checksum-sha1']], single],
    [
      'two headers of trailers',
      [
        ['x-amz-trailer', 'x-amz-checksum-crc32'],
        ['x-amz-trailer', 'x-amz-checksum-crc32'],
      ],
      single,
    ],
    [
      'an unknown algorithm',
      [['x-amz-checksum-md4', 'x']],
      'The algorithm type you specified in x-amz-checksum- header is invalid.',
    ],
    [
      'an unknown trailer',
      [['x-amz-trailer', 'x-amz-meta-a']],
      'The value specified in the x-amz-trailer header is not supported',
    ],
    [
      'an unknown algorithm in the trailer',
      [['x-amz-trailer', 'x-amz-checksum-md4']],
      'The value specified in the x-amz-trailer header is not supported',
    ],
    [
      'a value without padding',
      [['x-amz-checksum-crc32', 'y/Q5Jg']],
      'Value for x-amz-checksum-crc32 header is invalid.',
    ],
    [
      'a value of URL-safe base64',
      [['x-amz-checksum-crc32', 'y_Q5Jg==']],
      'Value for x-amz-checksum-crc32 header is invalid.',
    ],
    [
      'a value with a blank',
      [['x-amz-checksum-crc32', 'y/Q5 Jg==']],
      'Value for x-amz-checksum-crc32 header is invalid.',
    ],
    [
      'a value with stray bits',
      [['x-amz-checksum-crc32', 'y/Q5Jh==']],
      'Value for x-amz-checksum-crc32 header is invalid.',
    ],
    [
      'a value in hex',
      [['x-amz-checksum-crc32', 'cbf43926']],
      'Value for x-amz-checksum-crc32 header is invalid.',
    ],
    [
      'a value of another length',
      [['x-amz-checksum-sha256', 'y/Q5Jg==']],
      'Value for x-amz-checksum-sha256 header is invalid.',
    ],
    ['an empty value', [['x-amz-checksum-crc32', '']], 'Value for x-amz-checksum-crc32 header is invalid.'],
    [
      'an SDK algorithm alone',
      [['x-amz-sdk-checksum-algorithm', 'CRC32']],
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    ],
    [
      'another SDK algorithm',
      [crc32, ['x-amz-sdk-checksum-algorithm', 'CRC32C']],
      'Value for x-amz-sdk-checksum-algorithm header is invalid.',
    ],
    [
      'another SDK algorithm than the trailer',
      [
        ['x-amz-trailer', 'x-amz-checksum-crc32'],
        ['x-amz-sdk-checksum-algorithm', 'SHA1'],
      ],
      'Value for x-amz-sdk-checksum-algorithm header is invalid.',
    ],
    [
      'an unknown SDK algorithm',
      [crc32, ['x-amz-sdk-checksum-algorithm', 'MD4']],
      'Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]',
    ],
  ];

  it.each(refused)('is refused with %s', (_name, headers, message) => {
    expect(failure(() => requestedChecksum(bag(headers)))).toEqual(['InvalidRequest', message]);
  });
});

describe('the checksum in a trailer', () => {
  it('is read from among the others', () => {
    const trailers: Headers = [
      ['x-amz-checksum-sha1', 'x'],
      ['x-amz-checksum-crc32', 'y/Q5Jg=='],
    ];
    expect(trailerChecksum('CRC32', trailers).toString('hex')).toBe('cbf43926');
  });

  it('must have come exactly once, well-formed', () => {
    const crc32: readonly [string, string] = ['x-amz-checksum-crc32', 'y/Q5Jg=='];
    expect(failure(() => trailerChecksum('CRC32', []))[0]).toBe('MalformedTrailerError');
    expect(failure(() => trailerChecksum('CRC32', [crc32, crc32]))[0]).toBe('MalformedTrailerError');
    expect(failure(() => trailerChecksum('CRC32', [['x-amz-checksum-crc32', 'y/Q5Jg']]))).toEqual([
      'InvalidRequest',
      'Value for x-amz-checksum-crc32 trailing header is invalid.',
    ]);
  });
});

describe('checksum algorithms', () => {
  it.each(['CRC32', 'crc32', 'Crc32'])('are known in any letter case: %s', (name) => {
    expect(parseChecksumAlgorithm(name)).toBe('CRC32');
  });

  it('that we do not have are refused', () => {
    expect(failure(() => parseChecksumAlgorithm('XXHASH64'))[0]).toBe('InvalidRequest');
  });
});

describe('Content-MD5', () => {
  it('is 16 bytes of base64', () => {
    expect(requestedContentMd5(bag([]))).toBeNull();
    expect(requestedContentMd5(bag([['Content-MD5', 'JfnnlDI7RTiF9RgfG2JNCw==']]))?.toString('hex')).toBe(
      '25f9e794323b453885f5181f1b624d0b',
    );
  });

  it.each([
    ['not base64!'],
    ['YWJyYWNhZGFicmE='],
    ['25f9e794323b453885f5181f1b624d0b'],
    ['JfnnlDI7RTiF9RgfG2JNCw'],
    [''],
    ['JfnnlDI7RTiF9RgfG2JNCw==', 'JfnnlDI7RTiF9RgfG2JNCw=='],
  ])('is refused when it is %j', (...values) => {
    const headers = values.map((value): [string, string] => ['Content-MD5', value]);
    expect(failure(() => requestedContentMd5(bag(headers)))[0]).toBe('InvalidDigest');
  });
});
