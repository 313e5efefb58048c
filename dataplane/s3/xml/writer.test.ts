import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseXml } from './reader.ts';
import { urlEncodeKey } from './urlEncoding.ts';
import { isoTime, XML_DECLARATION, xml } from './writer.ts';

/** Any Unicode scalar value, ASCII more often. fast-check's own `binary` unit takes seconds to set up. */
const scalar = fc
  .oneof(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 0x10ffff }))
  .filter((point) => point < 0xd800 || point > 0xdfff)
  .map((point) => String.fromCodePoint(point));

const LIMITS = { maxBytes: 1024 * 1024, maxElements: 100, maxDepth: 10 };

describe('xml', () => {
  it.each<[text: string, written: string]>([
    ['plain text', 'plain text'],
    ['<a href="x">&amp;</a>', '&lt;a href=&quot;x&quot;&gt;&amp;amp;&lt;/a&gt;'],
    ["it's", "it's"],
    [']]>', ']]&gt;'],
    ['a\rb\nc\td', 'a&#13;b&#10;c&#9;d'],
    ['\u0000\u0001\u001f', '&#0;&#1;&#31;'],
    ['\u007f\u0085\u2028€😀', '\u007f\u0085\u2028€😀'],
    ['\ufffe\uffff', '&#65534;&#65535;'],
  ])('escapes %j', (text, written) => {
    expect(xml('Key', text, { namespace: false })).toBe(`${XML_DECLARATION}<Key>${written}</Key>`);
  });

  it('writes numbers, booleans, empty elements and leaves optional ones out', () => {
    const text = xml('R', [['N', 0], ['B', false], ['E', ''], ['L', []], null, ['C', [['D', 'x'], null]]]);
    const namespace = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"';
    expect(text).toBe(
      `<?xml version="1.0" encoding="UTF-8"?>\n<R ${namespace}><N>0</N><B>false</B><E/><L/><C><D>x</D></C></R>`,
    );
  });

  it('gives back any text that XML has a place for', () => {
    const isXml = (text: string): boolean =>
      !/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/.test(text);
    fc.assert(
      fc.property(fc.string({ unit: scalar, maxLength: 30 }).filter(isXml), (text) => {
        expect(parseXml(Buffer.from(xml('Key', text)), LIMITS).text).toBe(text);
      }),
    );
  });
});

describe('isoTime', () => {
  it.each([
    [0, '1970-01-01T00:00:00.000Z'],
    [1_767_355_200_999, '2026-01-02T12:00:00.000Z'],
  ])('writes %d in whole seconds', (ms, text) => {
    expect(isoTime(ms)).toBe(text);
  });
});

describe('urlEncodeKey', () => {
  it.each([
    ['test_file(3).png', 'test_file%283%29.png'],
    ['a b+c', 'a+b%2Bc'],
    ['a/b*c-d.e_f', 'a/b*c-d.e_f'],
    ['~%2f', '%7E%252f'],
    ['!\'"<>&\r\n\u0001', '%21%27%22%3C%3E%26%0D%0A%01'],
    ['€', '%E2%82%AC'],
  ])('encodes %j as S3 does', (key, text) => {
    expect(urlEncodeKey(key)).toBe(text);
    expect(urlEncodeKey(Buffer.from(key))).toBe(text);
  });

  it('is undone by what clients do', () => {
    fc.assert(
      fc.property(fc.string({ unit: scalar, maxLength: 30 }), (key) => {
        expect(decodeURIComponent(urlEncodeKey(key).replaceAll('+', ' '))).toBe(key);
      }),
    );
  });
});
