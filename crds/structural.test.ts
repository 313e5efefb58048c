import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { StructuralError, structural } from './structural.ts';
import { rules } from './validation.ts';

const text = z.string().max(8).describe('Text.');
const withField = (field: z.ZodType) => z.object({ place: z.object({ field }).describe('A place.') });

describe('structural()', () => {
  it('keeps what Kubernetes knows, and drops what only zod says', () => {
    const rule = { rule: 'self > 0', message: 'must be positive' };
    const schema = z.object({
      count: z
        .int()
        .min(0)
        .meta({ format: 'int64', ...rules(rule) })
        .describe('A number.'),
      at: z.iso.datetime().exactOptional().describe('A time.'),
      kind: z.enum(['A', 'B']).default('A').describe('A kind.'),
      name: text.regex(/^[a-z]*$/),
      labels: z.record(z.string(), text).meta({ maxProperties: 2 }).describe('Labels.'),
    });
    expect(structural(schema)).toEqual({
      type: 'object',
      required: ['count', 'name', 'labels'],
      properties: {
        count: {
          type: 'integer',
          format: 'int64',
          minimum: 0,
          description: 'A number.',
          'x-kubernetes-validations': [rule],
        },
        at: { type: 'string', format: 'date-time', description: 'A time.' },
        kind: { type: 'string', enum: ['A', 'B'], default: 'A', description: 'A kind.' },
        name: { type: 'string', maxLength: 8, pattern: '^[a-z]*$', description: 'Text.' },
        labels: {
          type: 'object',
          maxProperties: 2,
          description: 'Labels.',
          additionalProperties: { type: 'string', maxLength: 8, description: 'Text.' },
        },
      },
    });
  });

  it('writes out the defaults inside a default, and those in its lists as they are', () => {
    const inner = z.object({ a: text.default('x'), b: text.default('y'), c: text.exactOptional() });
    const list = z
      .array(z.object({ n: text }))
      .max(2)
      .meta({ 'x-kubernetes-list-type': 'atomic' });
    const schema = z
      .object({
        given: inner.prefault({ b: 'z' }).describe('Given in part.'),
        empty: inner.prefault({}).describe('Given empty.'),
        list: list.default([{ n: '1' }]).describe('A list.'),
        none: text.exactOptional(),
      })
      .prefault({});
    const { default: whole, properties } = structural(schema);
    expect(properties?.['given']?.default).toEqual({ a: 'x', b: 'z' });
    expect(properties?.['empty']?.default).toEqual({ a: 'x', b: 'y' });
    expect(whole).toEqual({ given: { a: 'x', b: 'z' }, empty: { a: 'x', b: 'y' }, list: [{ n: '1' }] });
  });

  it.each([
    ['a union', z.union([text, z.boolean()]).describe('Either.'), /place\.field: .*anyOf/],
    ['null', text.nullable(), /place\.field: .*nullable/],
    ['what may be anything', z.unknown().describe('Any.'), /place\.field: type/],
    ['a fraction', z.number().describe('A number.'), /place\.field: type/],
    ['a field without description', z.boolean(), /place\.field: has no description/],
    ['a text without bound', z.string().describe('Text.'), /place\.field: has no upper bound/],
    [
      'a list without bound',
      z.array(text).meta({ 'x-kubernetes-list-type': 'atomic' }).describe('A list.'),
      /place\.field: has no upper bound/,
    ],
    [
      'a map without bound',
      z.record(z.string(), text).describe('A map.'),
      /place\.field: has no upper bound/,
    ],
    [
      'a text without bound in a list',
      z.array(z.string()).max(1).meta({ 'x-kubernetes-list-type': 'atomic' }).describe('A list.'),
      /place\.field\[\]: has no upper bound/,
    ],
    [
      'a text without bound in a map',
      z.record(z.string(), z.string()).meta({ maxProperties: 1 }).describe('A map.'),
      /place\.field\.\*: has no upper bound/,
    ],
    [
      'a list that does not say how it is merged',
      z.array(text).max(1).describe('A list.'),
      /x-kubernetes-list-type/,
    ],
    ['a number that does not say its width', z.int().describe('A number.'), /place\.field: .*\(format\)/],
    ['a pattern that looks ahead', text.regex(/^(?=a)b/), /place\.field: .*RE2/],
    [
      'an object that takes other fields',
      z.looseObject({ a: text }).describe('Open.'),
      /has fields and takes others/,
    ],
    [
      'a rule without message',
      text.meta(rules({ rule: 'true', message: '' })),
      /x-kubernetes-validations.*message/,
    ],
    ['a word that Kubernetes does not know', text.meta({ examples: ['a'] }), /examples/],
  ])('refuses %s, and names the place', (_, field, message) => {
    expect(() => structural(withField(field))).toThrow(StructuralError);
    expect(() => structural(withField(field))).toThrow(message);
  });
});
