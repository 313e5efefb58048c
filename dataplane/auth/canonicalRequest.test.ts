import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalPaths, canonicalQuery, canonicalRequest, foldedValue } from './canonicalRequest.ts';
import { bag } from './signer.testkit.ts';

/** RFC 3986 percent-encoding of UTF-8, written the slow way. */
function encode(text: string): string {
  let encoded = '';
  for (const octet of Buffer.from(text, 'utf8')) {
    const character = String.fromCharCode(octet);
    encoded += /[A-Za-z0-9._~-]/.test(character)
      ? character
      : `%${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

describe('the canonical query', () => {
  it.each([
    ['', ''],
    ['acl', 'acl='],
    ['b=2&a=1', 'a=1&b=2'],
    ['a=2&a=1&a=&A=3', 'A=3&a=&a=1&a=2'],
    ['&&a=1&', 'a=1'],
    ['a=b+c&d=e%2Bf&g=%20', 'a=b%20c&d=e%2Bf&g=%20'],
    ['k=1&k-x=2&k.y=3&k0=4', 'k=1&k-x=2&k.y=3&k0=4'],
    ["k=%c3%bc~!*'()&l=a=b&m=a:b/c", 'k=%C3%BC~%21%2A%27%28%29&l=a%3Db&m=a%3Ab%2Fc'],
    ['prefix=%7e%41', 'prefix=~A'],
    ['X-Amz-Signature=00&x-amz-signature=11&a=1', 'a=1'],
    ['k=\u00c3\u00bc', 'k=%C3%BC'],
  ])('of %j is %j', (rawQuery, canonical) => {
    expect(canonicalQuery(rawQuery)).toBe(canonical);
  });

  it('is the same however a client ordered and encoded the parameters', () => {
    const parameter = fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(fc.array(parameter), fc.boolean(), (parameters, lowerCaseHex) => {
        const named = parameters.filter(([name]) => name !== '');
        const pairs = named.map(([name, value]) => [encode(name), encode(value)] as const);
        const sorted = pairs.toSorted((a, b) =>
          Buffer.compare(Buffer.from(a.join('\0')), Buffer.from(b.join('\0'))),
        );
        const sent = pairs
          .map((pair) => pair.join('='))
          .map((text) => (lowerCaseHex ? text.replace(/%../g, (escape) => escape.toLowerCase()) : text));
        expect(canonicalQuery(sent.join('&'))).toBe(sorted.map((pair) => pair.join('=')).join('&'));
      }),
    );
  });
});

describe('the canonical path', () => {
  it.each([
    ['', ['/']],
    ['/', ['/']],
    ['/b/k', ['/b/k']],
    ['/b//a//b/', ['/b//a//b/']],
    ['/b/../k', ['/b/../k']],
    ['/b/a%20b', ['/b/a%20b']],
    ['/b/a+b', ['/b/a+b', '/b/a%2Bb']],
    ['/b/a%2Fb', ['/b/a%2Fb']],
    ['/b/a%2fb', ['/b/a%2fb', '/b/a%2Fb']],
    ['/b/%252f', ['/b/%252f']],
    ['/b/%c3%bc', ['/b/%c3%bc', '/b/%C3%BC']],
    ['/b/\u00c3\u00bc', ['/b/\u00c3\u00bc', '/b/%C3%BC']],
    ["/b/!*'()~=&:@$,;", ["/b/!*'()~=&:@$,;", '/b/%21%2A%27%28%29~%3D%26%3A%40%24%2C%3B']],
  ])('of %j is one of %j', (rawPath, paths) => {
    expect(canonicalPaths(rawPath)).toEqual(paths);
  });

  it('names the same key in every form, and keeps its separators', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (key) => {
        const sent = `/bucket/${key.split('/').map(encodeURIComponent).join('/')}`;
        const decode = (path: string): string[] => path.split('/').map(decodeURIComponent);
        for (const path of canonicalPaths(sent)) expect(decode(path)).toEqual(decode(sent));
      }),
    );
  });
});

describe('canonical headers', () => {
  it.each([
    [['a'], 'a'],
    [['  a   b \t c  '], 'a b c'],
    [['a', ' b ', 'c,d'], 'a,b,c,d'],
    [[''], ''],
    [['\u00a0a\u00a0'], '\u00a0a\u00a0'],
    [['"a   b"'], '"a b"'],
  ])('%j fold to %j', (values, folded) => {
    expect(foldedValue(bag(values.map((value) => ['X-Amz-Meta-A', value])), 'x-amz-meta-a')).toBe(folded);
  });

  it('stand in the order that the client declared, absent ones empty', () => {
    const headers = bag([
      ['Host', 'h'],
      ['b', '2'],
      ['a', '1'],
    ]);
    const canonical = canonicalRequest({
      method: 'GET',
      path: '/',
      rawQuery: 'x',
      headers,
      signedHeaders: ['a', 'b', 'host', 'z'],
      payloadHash: 'UNSIGNED-PAYLOAD',
    });
    expect(canonical).toBe('GET\n/\nx=\na:1\nb:2\nhost:h\nz:\n\na;b;host;z\nUNSIGNED-PAYLOAD');
  });
});
