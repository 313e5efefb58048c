import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { be32, Decoder, enc, type Field } from './encoding.ts';
import { FormatError } from './errors.ts';

const malformed = expect.objectContaining({ name: 'FormatError', code: 'Malformed' });
const text = fc.string({ unit: 'binary', maxLength: 30 });
const bytes = fc.uint8Array({ maxLength: 900 });
const map = fc
  .dictionary(
    text.map((t) => t.replace(/[A-Z]/g, '-')),
    text,
  )
  .map((names) => new Map(Object.entries(names)));

describe('enc', () => {
  test.each([
    ['absent', null, 'ffffffff'],
    ['undefined, as absent', undefined, 'ffffffff'],
    ['empty text', '', '00000000'],
    ['an integer', 258, '000000080000000000000102'],
    ['the largest integer', Number.MAX_SAFE_INTEGER, '00000008001fffffffffffff'],
    ['true', true, '0000000101'],
    ['a list', [[1], []], '00000018000000020000000c00000008000000000000000100000000'],
    [
      'a map',
      new Map([
        ['b', ''],
        ['a', 'x'],
      ]),
      '000000170000000200000001610000000178000000016200000000',
    ],
  ] as const)('writes %s', (_, field, expected) => {
    expect(enc([field]).toString('hex')).toBe(expected);
  });

  test('writes fields larger than its first buffer', () => {
    const large = Buffer.alloc(100_000, 7);
    expect(
      enc([large, 'after', large]).equals(Buffer.concat([enc([large]), enc(['after']), enc([large])])),
    ).toBe(true);
  });

  test('two different sequences of fields of the same types never have the same encoding', () => {
    const pair = fc.tuple(fc.array(text), fc.array(text));
    fc.assert(
      fc.property(pair, ([a, b]) => {
        expect(enc(a).equals(enc(b))).toBe(JSON.stringify(a) === JSON.stringify(b));
      }),
    );
    expect(enc(['ab', 'c']).equals(enc(['a', 'bc']))).toBe(false);
    expect(enc([null]).equals(enc(['']))).toBe(false);
  });

  test.each<[string, Field]>([
    ['a negative integer', -1],
    ['a fraction', 1.5],
    ['an unsafe integer', 2 ** 53],
    ['not a number', Number.NaN],
    ['a lone surrogate', 'a\ud800'],
    ['an upper-case name', new Map([['Content-Type', 'x']])],
    ['a lone surrogate in a map', new Map([['a', '\udc00']])],
    ['a bad field in a list', [[-1]]],
  ])('refuses %s', (_, field) => {
    expect(() => enc([field])).toThrow(malformed);
  });

  test.each([-1, 2 ** 32, 0.5])('BE32 refuses %d', (value) => {
    expect(() => be32(value)).toThrow(malformed);
  });
});

describe('Decoder', () => {
  const textOf = (entry: Decoder) => entry.text();
  const [nameA, nameB] = ['000000016100000000', '000000016200000000'];

  test('reads what enc() wrote, and only all of it', () => {
    fc.assert(
      fc.property(bytes, text, map, fc.array(text), fc.option(bytes), (raw, t, m, entries, optional) => {
        const decoder = new Decoder(enc([raw, t, m, entries.map((entry) => [entry]), optional]));
        expect(decoder.bytes().equals(raw)).toBe(true);
        expect(decoder.text()).toBe(t);
        expect(decoder.map()).toEqual(m);
        expect(decoder.list((entry) => entry.text())).toEqual(entries);
        expect(decoder.optionalBytes()).toEqual(optional === null ? null : Buffer.from(optional));
        decoder.end();
      }),
    );
  });

  test("reads a view that does not start at its buffer's start", () => {
    const whole = Buffer.concat([Buffer.from('front'), enc(['x'])]);
    expect(new Decoder(new Uint8Array(whole.buffer, whole.byteOffset + 5, 5)).text()).toBe('x');
  });

  test('never gives a result that encodes to other bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 0, 0, 1, 2, 65, 97, 255), { maxLength: 24 }), (octets) => {
        const encoded = Buffer.from(octets);
        try {
          const decoder = new Decoder(encoded);
          const names = decoder.map();
          decoder.end();
          expect(enc([names]).equals(encoded)).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test.each<[string, string, (decoder: Decoder) => unknown, string]>([
    ['a length that is cut', '000000', (d) => d.bytes(), 'ends within a length'],
    ['a field that is cut', '0000000200', (d) => d.bytes(), 'ends after the encoding'],
    ['an absent field where one must be', 'ffffffff', (d) => d.bytes(), 'is absent'],
    ['ill-formed UTF-8', '00000001ff', (d) => d.text(), 'UTF-8'],
    ['UTF-8 of a surrogate', '00000003eda080', (d) => d.text(), 'UTF-8'],
    ['a list with bytes left over', '000000050000000000', (d) => d.list(textOf), 'bytes follow'],
    [
      'an entry with bytes left over',
      '0000000d000000010000000500000000ff',
      (d) => d.list(textOf),
      'bytes follow',
    ],
    [
      'a list with fewer entries than it says',
      '00000004ffffffff',
      (d) => d.list(textOf),
      'ends within a length',
    ],
    ['a list without its count', '00000000', (d) => d.list(textOf), 'ends within a length'],
    ['names out of order', `0000001600000002${nameB}${nameA}`, (d) => d.map(), 'ascending'],
    ['a name twice', `0000001600000002${nameA}${nameA}`, (d) => d.map(), 'ascending'],
    ['an upper-case name', '0000000d00000001000000014100000000', (d) => d.map(), 'lower-case'],
    ['a map with bytes left over', '000000050000000000', (d) => d.map(), 'bytes follow'],
  ])('refuses %s', (_, encoded, read, message) => {
    expect(() => read(new Decoder(Buffer.from(encoded, 'hex')))).toThrow(
      expect.objectContaining({ code: 'Malformed', message: expect.stringContaining(message) }),
    );
  });

  test('end() refuses bytes after the last field', () => {
    const decoder = new Decoder(enc(['a', '']));
    decoder.text();
    expect(() => decoder.end()).toThrow(malformed);
  });
});
