import { describe, expect, it } from 'vitest';
import { attributeHeaders, objectAttributes } from './objectAttributes.ts';
import { Query } from './request.ts';

const none = new Query([]);

describe('objectAttributes', () => {
  it('keeps content headers and user metadata and nothing else', () => {
    const attributes = objectAttributes([
      ['host', 'x'],
      ['content-type', 'text/plain'],
      ['cache-control', 'no-store'],
      ['x-amz-meta-one', '1'],
      ['x-amz-acl', 'private'],
    ]);
    expect(attributeHeaders(attributes, none)).toEqual({
      'content-type': 'text/plain',
      'cache-control': 'no-store',
      'x-amz-meta-one': '1',
    });
  });

  it('says binary/octet-stream when no content type was sent', () => {
    expect(attributeHeaders(objectAttributes([]), none)).toEqual({ 'content-type': 'binary/octet-stream' });
  });

  it.each([
    ['aws-chunked', undefined],
    ['aws-chunked,gzip', 'gzip'],
    ['gzip, AWS-chunked', 'gzip'],
    ['aws-chunked, aws-chunked', undefined],
    ['gzip, br', 'gzip, br'],
    ['gzip, br, aws-chunked', 'gzip, br'],
    ['aws-chunked, gzip,br', 'gzip,br'],
  ])('stores the content encoding %s as %s: aws-chunked frames the request only', (sent, stored) => {
    expect(objectAttributes([['content-encoding', sent]]).contentHeaders.get('content-encoding')).toBe(
      stored,
    );
  });

  it('joins repeated user metadata with commas', () => {
    const { userMetadata } = objectAttributes([
      ['x-amz-meta-a', '1'],
      ['x-amz-meta-a', '2'],
    ]);
    expect(userMetadata.get('a')).toBe('1,2');
  });

  it('accepts 2,048 bytes of names and values and refuses one more', () => {
    const fits = [['x-amz-meta-k', 'v'.repeat(2047)]] as const;
    const tooLarge = [['x-amz-meta-k', 'v'.repeat(2048)]] as const;
    expect(objectAttributes(fits).userMetadata.size).toBe(1);
    expect(() => objectAttributes(tooLarge)).toThrow(expect.objectContaining({ code: 'MetadataTooLarge' }));
  });
});

describe('attributeHeaders', () => {
  it('lets response-* override what was stored', () => {
    const attributes = objectAttributes([['content-type', 'text/plain']]);
    const query = new Query([['response-content-type', 'text/html']]);
    expect(attributeHeaders(attributes, query)).toEqual({ 'content-type': 'text/html' });
  });

  it('refuses an override that would write headers of its own', () => {
    const query = new Query([['response-content-type', 'text/html\r\nset-cookie: a=b']]);
    expect(() => attributeHeaders(objectAttributes([]), query)).toThrow(
      expect.objectContaining({ code: 'InvalidArgument' }),
    );
  });
});
