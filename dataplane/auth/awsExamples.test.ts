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
  OWNER,
  SCOPE,
  signingKey,
  TIMESTAMP,
  target,
} from './signer.testkit.ts';

describe('the examples that AWS publishes for the Authorization header', () => {
  // S3 API, "Examples: signature calculations", and the seeds of the two chunked uploads.
  const examples: [
    name: string,
    method: string,
    url: string,
    headers: HeaderList,
    signed: string,
    signature: string,
  ][] = [
    [
      'GET object',
      'GET',
      '/test.txt',
      [
        ['Range', 'bytes=0-9'],
        ['x-amz-content-sha256', EMPTY_SHA256],
        ['x-amz-date', TIMESTAMP],
      ],
      'host;range;x-amz-content-sha256;x-amz-date',
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    [
      'PUT object, whose key has a dollar sign that is not encoded on the wire',
      'PUT',
      '/test$file.text',
      [
        ['Date', 'Fri, 24 May 2013 00:00:00 GMT'],
        ['x-amz-date', TIMESTAMP],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ['x-amz-content-sha256', '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072'],
      ],
      'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    ],
    [
      'GET bucket lifecycle',
      'GET',
      '/?lifecycle',
      [
        ['x-amz-date', TIMESTAMP],
        ['x-amz-content-sha256', EMPTY_SHA256],
      ],
      'host;x-amz-content-sha256;x-amz-date',
      'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    ],
    [
      'list objects',
      'GET',
      '/?max-keys=2&prefix=J',
      [
        ['x-amz-date', TIMESTAMP],
        ['x-amz-content-sha256', EMPTY_SHA256],
      ],
      'host;x-amz-content-sha256;x-amz-date',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
  ];

  it.each(examples)('%s', (_name, method, url, headers, signed, signature) => {
    const sent = bag([['Host', HOST], ...headers, authorization(signed, signature)]);
    expect(authenticate(target(method, url), sent, deps()).principal).toEqual({
      accessKeyId: ACCESS_KEY,
      ownerId: OWNER,
      rights: 'everything',
    });
    const forged = `${signature.slice(0, -1)}${signature.endsWith('0') ? '1' : '0'}`;
    const wrong = bag([['Host', HOST], ...headers, authorization(signed, forged)]);
    expect(failure(() => authenticate(target(method, url), wrong, deps())).code).toBe(
      'SignatureDoesNotMatch',
    );
  });

  const chunked: [form: string, extra: HeaderList, signed: string, signature: string, trailer: boolean][] = [
    [
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
      [['Content-Length', '66824']],
      'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
      '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
      false,
    ],
    [
      'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
      [['x-amz-trailer', 'x-amz-checksum-crc32c']],
      'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
      '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
      true,
    ],
  ];

  it.each(chunked)(
    '%s: the request signature seeds those of the chunks',
    (form, extra, signed, signature, trailer) => {
      const headers = bag([
        ['Host', 's3.amazonaws.com'],
        ['x-amz-date', TIMESTAMP],
        ['x-amz-storage-class', 'REDUCED_REDUNDANCY'],
        ['x-amz-content-sha256', form],
        ['Content-Encoding', 'aws-chunked'],
        ['x-amz-decoded-content-length', '66560'],
        ...extra,
        authorization(signed, signature.toUpperCase()),
      ]);
      const put = target('PUT', '/examplebucket/chunkObject.txt', 's3.amazonaws.com');
      expect(authenticate(put, headers, deps()).payload).toEqual({
        kind: 'aws-chunked',
        trailer,
        signing: { signingKey: signingKey(), timestamp: TIMESTAMP, scope: SCOPE, seedSignature: signature },
      });
    },
  );
});
