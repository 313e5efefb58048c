import { expect, test } from 'vitest';
import { KmsError } from '../keys/keys.ts';
import { MetadataError } from '../metadata/metadata.ts';
import { explanationText, Verdicts } from './explanation.ts';

test('text shows names as words, units from the names, lists with dashes, and what is wrong at the end', () => {
  const report = {
    bucket: 'b',
    createdMs: 0,
    fileBytes: 72,
    bytes: 3,
    everPlain: true,
    kmsId: null,
    count: 2,
    usage: { objects: 1, nested: { deep: 'x' } },
    versions: [
      { id: 'a', parts: [{ n: 1 }, { n: 2 }] },
      { id: 'b', parts: [] },
    ],
    incarnations: ['one', 'two'],
  };
  expect(explanationText({ report, wrong: ['w'], unknown: ['u'] })).toBe(
    [
      'bucket: b',
      'created: 1970-01-01T00:00:00.000Z',
      'file: 72 bytes',
      'bytes: 3 bytes',
      'ever plain: yes',
      'kms id: none',
      'count: 2',
      'usage:',
      '  objects: 1',
      '  nested:',
      '    deep: x',
      'versions:',
      '  - id: a',
      '    parts:',
      '      - n: 1',
      '      - n: 2',
      '  - id: b',
      '    parts: none',
      'incarnations:',
      '  - one',
      '  - two',
      'WRONG: w',
      'NOT CHECKED: u',
      '',
    ].join('\n'),
  );
});

test('a name cannot move the cursor, colour the line, turn it round or end it', () => {
  const object = 'a\u001b[31m\nWRONG: all\u202e"\\';
  const text = explanationText({ report: { object }, wrong: [], unknown: [] });
  expect(text).toBe('object: "a\\u{1b}[31m\\u{a}WRONG: all\\u{202e}\\"\\\\"\n');
});

test.each([
  ['a b', 'a b'],
  [' a', '" a"'],
  ['"', '"\\""'],
  ['\u200b', '"\\u{200b}"'],
])('%j is shown as %s, in lists as well', (value, shown) => {
  const text = explanationText({ report: { list: [value, [value]] }, wrong: [], unknown: [] });
  expect(text).toBe(`list:\n  - ${shown}\n  - ${shown}\n`);
});

test('what is wrong cannot end its line either', () => {
  expect(explanationText({ report: {}, wrong: ['a\nb'], unknown: ['c\rd'] })).toBe(
    'WRONG: a\\u{a}b\nNOT CHECKED: c\\u{d}d\n',
  );
});

test('a check is good, wrong, not checked, or fails with what nobody expected', async () => {
  const verdicts = new Verdicts();
  const failing = (error: Error) => () => Promise.reject(error);
  expect(await verdicts.of('s', 'fine', () => 1)).toBe('fine');
  expect(await verdicts.of('row', 'fine', failing(new MetadataError('Integrity', 'edited')))).toBe(
    'WRONG: edited',
  );
  expect(await verdicts.of('key', 'fine', failing(new KmsError('Unavailable', 'away')))).toBe(
    'not checked: away',
  );
  await expect(verdicts.of('s', 'fine', failing(new Error('bug')))).rejects.toThrow('bug');
  expect(verdicts).toEqual({ wrong: ['row: edited'], unknown: ['key: away'] });
});
