import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { missing, parseGuarantees } from './guarantees.ts';
import { ROOT, readSource } from './sources.ts';

const lookup = (path: string): string | undefined =>
  existsSync(join(ROOT, path)) ? readSource(path) : undefined;

describe('docs/guarantees.md', () => {
  const guarantees = parseGuarantees(readSource('docs/guarantees.md'));

  it('lists promises, each proven by something or said to be open', () => {
    expect(guarantees.length).toBeGreaterThan(20);
    for (const { line, proofs, status } of guarantees) {
      expect([line, status]).toEqual([line, expect.stringMatching(/^(?:proven|open)$/)]);
      expect([line, proofs.length > 0]).toEqual([line, status === 'proven']);
    }
  });

  it('names only tests and commands that exist', () => {
    const wrong = guarantees.flatMap(({ line, proofs }) =>
      proofs.flatMap((proof) => {
        const problem = missing(proof, lookup);
        return problem === null ? [] : [`docs/guarantees.md:${line}: ${problem}`];
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe('docs/threat-model.md', () => {
  const page = readSource('docs/threat-model.md');
  const named = (text: string): string[] =>
    [...text.matchAll(/`([\w./-]+\.test\.ts[^`]*)`/g)].map(([, proof = '']) => proof);

  it('has a test in every row, and names only tests that exist', () => {
    const rows = page.split('\n').filter((line) => line.startsWith('| ') && !/^\| (?:---|who \|)/.test(line));
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.filter((row) => named(row).length === 0)).toEqual([]);
    expect(named(page).flatMap((proof) => missing(proof, lookup) ?? [])).toEqual([]);
  });
});

describe('a proof', () => {
  const sources = new Map([
    ['Makefile', 'demo: ## tour\n\t@run\n'],
    [
      'a.test.ts',
      "describe('a', () => {\n it('does b', f);\n it.each([\n [1],\n])('refuses %s', f);\n it.each(X)(\n 'wraps %s', f);\n it('it\\'s', f);\n it(`ticks`, f);\n it.prop([gen()])('holds', f);\n});\n// does c\n",
    ],
  ]);
  it.each([
    ['make demo ONCE=1', null],
    ['make tea', 'the Makefile has no target tea'],
    ['a.test.ts: does b', null],
    ['a.test.ts: refuses %s', null],
    ['a.test.ts: wraps %s', null],
    ["a.test.ts: it's", null],
    ['a.test.ts: ticks', null],
    ['a.test.ts: holds', null],
    ['a.test.ts: does c', 'a.test.ts has no test of the name: does c'],
    ['a.test.ts: does', 'a.test.ts has no test of the name: does'],
    ['b.test.ts: does b', 'no such file: b.test.ts'],
    ['somewhere', 'neither a command nor a test: somewhere'],
  ])('%s is judged %s', (proof, expected) => {
    expect(missing(proof, (path) => sources.get(path))).toBe(expected);
  });

  it.each([
    ['| a | b |', 'has 2 cells instead of 3'],
    ['| a | b | proven |', 'not written as code: b'],
  ])('in the row %s is refused: %s', (row, message) => {
    expect(() => parseGuarantees(row)).toThrow(message);
  });
});
