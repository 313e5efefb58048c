import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from './errors.ts';
import { isBucketName, MAX_KEY_BYTES, parseTarget } from './target.ts';

const DOMAINS = ['s3.example.com', 'eu.s3.example.com', 'local:9000'];

/** Any Unicode scalar value, ASCII more often. fast-check's own `binary` unit takes seconds to set up. */
const scalar = fc
  .oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 0x10ffff }))
  .filter((point) => point < 0xd800 || point > 0xdfff)
  .map((point) => String.fromCodePoint(point));

function parse(rawUrl: string, host: string | undefined = '127.0.0.1:9000'): ReturnType<typeof parseTarget> {
  return parseTarget('GET', rawUrl, host, DOMAINS);
}

function codeOf(rawUrl: string, host?: string): string {
  try {
    parse(rawUrl, host);
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
  return 'accepted';
}

function encodeBytes(bytes: Uint8Array): string {
  return [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

describe('parseTarget', () => {
  it.each<[rawUrl: string, bucket: string | null, key: string | null]>([
    ['/', null, null],
    ['/?x-id=ListBuckets', null, null],
    ['/photos', 'photos', null],
    ['/photos/', 'photos', null],
    ['/photos?location', 'photos', null],
    ['/photos/a', 'photos', 'a'],
    ['/photos/a/', 'photos', 'a/'],
    ['/photos//', 'photos', '/'],
    ['/photos//a//b', 'photos', '/a//b'],
    ['/photos/../secret', 'photos', '../secret'],
    ['/photos/./a', 'photos', './a'],
    ['/photos/%2e%2e%2fsecret', 'photos', '../secret'],
    ['/photos/a%2Fb', 'photos', 'a/b'],
    ['/photos/a%252fb', 'photos', 'a%2fb'],
    ['/photos/a+b%20c%2B', 'photos', 'a+b c+'],
    ['/photos/%00%01%0d%0a%7f', 'photos', '\0\x01\r\n\x7f'],
    ['/photos/%E2%82%AC', 'photos', '€'],
    ['/photos/a%3Fb?c=d', 'photos', 'a?b'],
    ['/photos/a?b?c', 'photos', 'a'],
    ['/my.photos/a', 'my.photos', 'a'],
    ['/photo%73/a', 'photos', 'a'],
    ["/photos/!$&'()*,;=:@~-._", 'photos', "!$&'()*,;=:@~-._"],
  ])('reads path style %s', (rawUrl, bucket, key) => {
    const target = parse(rawUrl);
    expect(target.bucket).toBe(bucket);
    expect(target.key?.toString('utf8') ?? null).toBe(key);
  });

  it('keeps the raw path and query for signatures', () => {
    expect(parse('/b/%2e%2e//a%20b?x=%20&y')).toMatchObject({
      method: 'GET',
      rawPath: '/b/%2e%2e//a%20b',
      rawQuery: 'x=%20&y',
    });
  });

  it('takes bytes above U+007F that a client did not encode for what they are', () => {
    const raw = Buffer.from('/photos/€').toString('latin1');
    expect(parse(raw).key).toEqual(Buffer.from('€'));
  });

  it.each<[host: string | undefined, rawUrl: string, bucket: string | null, key: string | null]>([
    ['photos.s3.example.com', '/a/b', 'photos', 'a/b'],
    ['photos.s3.example.com', '/', 'photos', null],
    ['photos.s3.example.com', '//a', 'photos', '/a'],
    ['photos.s3.example.com:9000', '/a', 'photos', 'a'],
    ['PHOTOS.S3.Example.COM', '/a', 'photos', 'a'],
    ['photos.s3.example.com.', '/a', 'photos', 'a'],
    ['my.old.photos.s3.example.com', '/a', 'my.old.photos', 'a'],
    ['photos.local:9000', '/a', 'photos', 'a'],
    ['photos.local', '/a', 'photos', 'a'],
    ['s3.example.com', '/photos/a', 'photos', 'a'],
    ['eu.s3.example.com', '/photos/a', 'photos', 'a'],
    ['photos.eu.s3.example.com', '/a', 'photos', 'a'],
    ['photoss3.example.com', '/b/a', 'b', 'a'],
    ['other.example.org', '/b/a', 'b', 'a'],
    ['[::1]:9000', '/b/a', 'b', 'a'],
    ['[::1]', '/b/a', 'b', 'a'],
    ['', '/b/a', 'b', 'a'],
    [undefined, '/b/a', 'b', 'a'],
  ])('reads Host %s with %s', (host, rawUrl, bucket, key) => {
    const target = parseTarget('GET', rawUrl, host, DOMAINS);
    expect(target.bucket).toBe(bucket);
    expect(target.key?.toString('utf8') ?? null).toBe(key);
  });

  it('reads an absolute-form target that names the Host', () => {
    expect(parse('http://h:9000/b/a?x', 'h:9000')).toMatchObject({
      rawPath: '/b/a',
      rawQuery: 'x',
      bucket: 'b',
    });
    expect(parse('HTTPS://photos.s3.example.com', 'PHOTOS.s3.example.com')).toMatchObject({
      rawPath: '/',
      bucket: 'photos',
    });
    expect(parse('http://photos.s3.example.com?list-type=2', 'photos.s3.example.com')).toMatchObject({
      rawPath: '/',
      rawQuery: 'list-type=2',
      key: null,
    });
  });

  it.each<[rawUrl: string, host: string, code: string]>([
    ['http://other.s3.example.com/a', 'photos.s3.example.com', 'InvalidURI'],
    ['http://user@h/a', 'h', 'InvalidURI'],
    ['http:///a', '', 'InvalidURI'],
    ['ftp://h/a', 'h', 'InvalidURI'],
    ['*', 'h', 'InvalidURI'],
    ['', 'h', 'InvalidURI'],
    ['b/a', 'h', 'InvalidURI'],
    ['/b/a#fragment', 'h', 'InvalidURI'],
    ['/b/a b', 'h', 'InvalidURI'],
    ['/b/a\tb', 'h', 'InvalidURI'],
    ['/b/%', 'h', 'InvalidURI'],
    ['/b/%4', 'h', 'InvalidURI'],
    ['/b/%4g', 'h', 'InvalidURI'],
    ['/b/%+1', 'h', 'InvalidURI'],
    ['/b/%ff', 'h', 'InvalidURI'],
    ['/b/%C0%AF', 'h', 'InvalidURI'],
    ['/b/%ED%A0%80', 'h', 'InvalidURI'],
    ['/b/%E2%82', 'h', 'InvalidURI'],
    ['/b/\u20ac', 'h', 'InvalidURI'],
    ['/%ff/a', 'h', 'InvalidURI'],
    ['/b/a?prefix=%ff', 'h', 'InvalidURI'],
    ['/b/a?%zz=1', 'h', 'InvalidURI'],
    ['//a', 'h', 'InvalidBucketName'],
    ['/a', '.s3.example.com', 'InvalidBucketName'],
  ])('refuses %j at Host %j with %s', (rawUrl, host, code) => {
    expect(codeOf(rawUrl, host)).toBe(code);
  });

  it('accepts keys of up to 1,024 bytes, counted after decoding', () => {
    expect(parse(`/b/${'%41'.repeat(MAX_KEY_BYTES)}`).key).toHaveLength(1024);
    expect(parse(`/b/${'%F0%9F%94%92'.repeat(256)}`).key).toHaveLength(1024);
    expect(codeOf(`/b/${'a'.repeat(1025)}`)).toBe('KeyTooLongError');
    expect(codeOf(`/b/${'%F0%9F%94%92'.repeat(256)}a`)).toBe('KeyTooLongError');
    expect(codeOf(`/${'a'.repeat(1025)}`, 'b.s3.example.com')).toBe('KeyTooLongError');
  });

  it('gives back every well-formed key, however it is encoded', () => {
    const key = fc.string({ unit: scalar, minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(key, (text) => {
        const bytes = Buffer.from(text);
        expect(parse(`/b/${encodeBytes(bytes)}`).key?.equals(bytes)).toBe(true);
        expect(parse(`/b/${encodeURIComponent(text)}`).key?.equals(bytes)).toBe(true);
      }),
    );
  });

  it('refuses exactly the byte strings that are not well-formed UTF-8', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), (bytes) => {
        const wellFormed = Buffer.from(Buffer.from(bytes).toString('utf8')).equals(bytes);
        expect(codeOf(`/b/${encodeBytes(bytes)}`)).toBe(wellFormed ? 'accepted' : 'InvalidURI');
      }),
    );
  });

  it('reads query parameters in order, decoded once', () => {
    const { query } = parse('/b?prefix=a%2Fb+c%2B&&delete&=x&marker=&prefix=2&e=a=b%3D&%E2%82%AC=%2525');
    expect(query.entries).toEqual([
      ['prefix', 'a/b c+'],
      ['delete', ''],
      ['', 'x'],
      ['marker', ''],
      ['prefix', '2'],
      ['e', 'a=b='],
      ['€', '%25'],
    ]);
    expect(query.get('prefix')).toBe('a/b c+');
  });

  it('gives back any query that URLSearchParams wrote', () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((it) => it.isWellFormed());
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            text.filter((it) => it !== ''),
            text,
          ),
        ),
        (entries) => {
          const written = new URLSearchParams(entries).toString();
          expect(parse(`/b?${written}`).query.entries).toEqual(entries);
        },
      ),
    );
  });
});

describe('isBucketName', () => {
  it.each([
    'abc',
    'a-b',
    'my.bucket.1',
    '123',
    'a'.repeat(63),
    '1.2.3',
    '1.2.3.4.5',
    'a--b',
    'x.y.z',
    'xn-a',
  ])('accepts %s', (name) => {
    expect(isBucketName(name)).toBe(true);
  });

  it.each([
    '',
    'ab',
    'a'.repeat(64),
    'Abc',
    'a_b',
    'a b',
    'abc ',
    'abc\n',
    '-abc',
    'abc-',
    '.abc',
    'abc.',
    'a..b',
    'a.-b',
    'a-.b',
    '192.168.5.4',
    '1.2.3.4',
    'xn--abc',
    'sthree-abc',
    'amzn-s3-demo-bucket',
    'abc-s3alias',
    'abc--ol-s3',
    'abc.mrap',
    'abc--x-s3',
    'abc--table-s3',
    'bücher',
    'a/b',
    '../abc',
  ])('refuses %j', (name) => {
    expect(isBucketName(name)).toBe(false);
  });

  it('accepts only names that are safe in a host name and a path', () => {
    const unit = fc.constantFrom(...'aZ09.-_/%:[ \n'.split(''));
    fc.assert(
      fc.property(fc.string({ unit, minLength: 3, maxLength: 63 }), (name) => {
        if (isBucketName(name))
          expect(new URL(`http://${name}.example.com/`).hostname).toBe(`${name}.example.com`);
      }),
    );
  });
});
