import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { S3Error } from '../errors.ts';
import { childText, onlyChild, parseBoolean, parseXml, requireShape, type XmlElement } from './reader.ts';

const LIMITS = { maxBytes: 1000, maxElements: 6, maxDepth: 4 };

function parse(text: string | Uint8Array): XmlElement {
  return parseXml(typeof text === 'string' ? Buffer.from(text) : text, LIMITS);
}

function errorOf(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('parseXml', () => {
  it('reads elements, text, references and CDATA, and ignores the rest', () => {
    const root = parse(
      '<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><s3:R xmlns:s3="u" a="1"> <K>a&amp;&#13;&#x41;<![CDATA[<b>&amp;]]></K><?pi x?><E/></s3:R>\n',
    );
    expect(root).toEqual({
      name: 'R',
      text: ' ',
      children: [
        { name: 'K', text: 'a&\rA<b>&amp;', children: [] },
        { name: 'E', text: '', children: [] },
      ],
    });
  });

  it.each(['UTF-8', 'utf-8', 'US-ASCII'])('takes the declared encoding %s', (encoding) => {
    expect(parse(`<?xml version="1.0" encoding="${encoding}"?><R/>`).name).toBe('R');
  });

  it('takes a byte order mark', () => {
    expect(parse('\ufeff<R/>').name).toBe('R');
  });

  it.each<[what: string, text: string | Uint8Array]>([
    ['nothing', ''],
    ['white space', '  \n'],
    ['JSON', '{"a": 1}'],
    ['an open element', '<R><K>'],
    ['crossed elements', '<R><K></R></K>'],
    ['two roots', '<R/><R/>'],
    ['text after the root', '<R/>x'],
    ['a document type', '<!DOCTYPE R><R/>'],
    ['an internal subset', '<!DOCTYPE R [<!ENTITY a "b">]><R>&a;</R>'],
    ['an external entity', '<!DOCTYPE R [<!ENTITY x SYSTEM "file:///etc/passwd">]><R>&x;</R>'],
    ['an entity of its own', '<R>&a;</R>'],
    ['an HTML entity', '<R>&nbsp;</R>'],
    ['a reference to NUL', '<R>&#0;</R>'],
    ['a bare control character', '<R>\u0001</R>'],
    ['another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><R/>'],
    ['ill-formed UTF-8', Buffer.from([0x3c, 0x52, 0x3e, 0xff, 0x3c, 0x2f, 0x52, 0x3e])],
    ['UTF-16', Buffer.from('\ufeff<R/>', 'utf16le')],
    ['too many elements', '<R><a/><a/><a/><a/><a/><a/></R>'],
    ['too deep', '<R><a><a><a><a/></a></a></a></R>'],
  ])('answers MalformedXML to %s, and repeats none of it', (_, text) => {
    const error = errorOf(() => parse(text));
    expect(error.code).toBe('MalformedXML');
    expect(error.message).toBe(new S3Error('MalformedXML').message);
    expect(error.details).toEqual({});
  });

  it('takes documents up to its limits', () => {
    expect(parse('<R><a/><a/><a/><a/><a/></R>').children).toHaveLength(5);
    expect(parse('<R><a><a><a/></a></a></R>').name).toBe('R');
    expect(parse(`<R>${'x'.repeat(993)}</R>`).text).toHaveLength(993);
    expect(errorOf(() => parse(`<R>${'x'.repeat(994)}</R>`)).code).toBe('MaxMessageLengthExceeded');
  });

  it('refuses an entity bomb at once', () => {
    const entities = Array.from({ length: 20 }, (_, i) => `<!ENTITY e${i + 1} "&e${i};&e${i};">`).join('');
    const bomb = `<!DOCTYPE R [<!ENTITY e0 "lol">${entities}]><R>&e20;</R>`;
    expect(errorOf(() => parse(bomb)).code).toBe('MalformedXML');
  });

  it('either reads any bytes or answers an S3Error', () => {
    const piece = fc.constantFrom(
      '<R>',
      '</R>',
      '<a',
      '/>',
      '&amp;',
      '&',
      '<![CDATA[',
      ']]>',
      '<!--',
      '-->',
      '<?x',
      '?>',
      'x',
      '"',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece).map((it) => Buffer.from(it.join(''))),
          fc.uint8Array(),
        ),
        (bytes) => {
          try {
            expect(parse(bytes).name).not.toBe('');
          } catch (error) {
            expect(error).toBeInstanceOf(S3Error);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('reading the tree', () => {
  const root = parse('<R><A>1</A><B>2</B><B/><C><D/></C></R>');

  it('gives the only child of a name', () => {
    expect(onlyChild(root, 'A')?.text).toBe('1');
    expect(onlyChild(root, 'X')).toBeNull();
    expect(errorOf(() => onlyChild(root, 'B')).code).toBe('MalformedXML');
  });

  it('gives the text of a child without elements', () => {
    expect(childText(root, 'A')).toBe('1');
    expect(childText(root, 'X')).toBeNull();
    expect(errorOf(() => childText(root, 'C')).code).toBe('MalformedXML');
  });

  it('refuses unexpected children and text between elements', () => {
    expect(() => requireShape(root, ['A', 'B', 'C'])).not.toThrow();
    expect(errorOf(() => requireShape(root, ['A', 'B'])).code).toBe('MalformedXML');
    expect(errorOf(() => requireShape(parse('<R> x <A/></R>'), ['A'])).code).toBe('MalformedXML');
  });

  it.each<[text: string | null, value: boolean | null]>([
    [null, null],
    ['true', true],
    [' True\n', true],
    ['1', true],
    ['false', false],
    ['FALSE', false],
    ['0', false],
  ])('reads the boolean %j', (text, value) => {
    expect(parseBoolean(text)).toBe(value);
  });

  it.each(['', 'yes', 'truee', '2'])('refuses the boolean %j', (text) => {
    expect(errorOf(() => parseBoolean(text)).code).toBe('MalformedXML');
  });
});
