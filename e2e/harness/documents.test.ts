import { expect, test } from 'vitest';
import { blocksOf, stepsOf } from './documents.ts';

const PAGE = [
  '# Page',
  '',
  '## First',
  '```sh',
  'a \\',
  '  b',
  '```',
  'text',
  '```',
  'shown',
  '```',
  '### Second',
  '```sh',
  '# no heading',
  'c',
  '```',
].join('\n');

test('steps are the blocks marked sh, with their heading, in order', () => {
  expect(stepsOf(PAGE)).toEqual([
    { heading: 'First', commands: 'a \\\n  b' },
    { heading: 'Second', commands: '# no heading\nc' },
  ]);
});

test('blocks are all of them', () => {
  expect(blocksOf(PAGE).map(({ language, text }) => [language, text])).toEqual([
    ['sh', 'a \\\n  b'],
    ['', 'shown'],
    ['sh', '# no heading\nc'],
  ]);
});
